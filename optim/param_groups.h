// Which parameters are decayed, and how fast each layer learns.
#pragma once

#include "vitrail/optim/optimizer.h"

#include <span>
#include <string_view>

namespace vitrail::optim {

/// Parameters that are not decayed although they are not vectors. DINO decays them all: its list is empty.
inline constexpr std::string_view kNoDecay[] = {"pos_embed", "cls_token", "dist_token", "reg_token"};
inline constexpr std::string_view kNoDecayDeit[] = {"pos_embed", "cls_token"};  // as published: decays dist_token

/// Two groups: not decayed, decayed. Not decayed are parameters of rank 0 or 1, names that end in ".bias", and names
/// whose last part is in no_decay. Frozen parameters are in neither.
std::vector<ParamGroup> decay_groups(std::span<ag::Parameter* const> parameters,
                                     std::span<const std::string_view> no_decay = kNoDecay);

/// The same two groups for each layer, with lr_scale = decay^(last - layer_id), where last is the layer of the head.
/// Throws ConfigError for a decay other than 1 if no parameter belongs to a block.
/// Source: timm's layer decay, after Clark et al. 2020 (arXiv:2003.10555).
std::vector<ParamGroup> layer_decay_groups(std::span<ag::Parameter* const> parameters, double decay,
                                           std::span<const std::string_view> no_decay = kNoDecay);

/// Tokens and embeddings are layer 0, "blocks.i." is i + 1, everything after the blocks (norm, head) is depth + 1.
int64_t layer_id(std::string_view name, int64_t depth);

}  // namespace vitrail::optim
