// Groups of parameters: which ones are decayed, and how fast each layer learns.
#pragma once

#include "vitrail/optim/optimizer.h"

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace vitrail::optim {

/// Which parameters are decayed: always those with ag::Decay::weight, never those with ag::Decay::never.
struct DecayRule {
  bool tables = false;              // ag::Decay::table: learned tokens and tables of positions
  std::vector<std::string> except;  // tables with the opposite rule, by the last part of their names

  /// Whether weight decay applies to p.
  bool decays(const ag::Parameter& p) const;
};
DecayRule timm_decay();  // no table
DecayRule deit_decay();  // no table but the distillation token and the registers, as published
DecayRule dino_decay();  // all tables

/// Two groups: not decayed, and decayed. Frozen parameters are left out.
std::vector<ParamGroup> decay_groups(std::span<ag::Parameter* const> parameters, const DecayRule& rule = timm_decay());

/// A factor of a parameter's learning rate.
using LrFactor = std::function<double(const ag::Parameter&)>;
/// The same two groups for each layer l of a model with L blocks (ag::Parameter::layer; L + 1 after the blocks), with
/// lr_scale = decay^(L + 1 - l), times factor of the parameter if there is one.
/// Throws ConfigError for a decay other than 1 if no parameter is of a block.
/// Source: timm's layer decay, after Clark et al. 2020 (arXiv:2003.10555).
std::vector<ParamGroup> layer_decay_groups(std::span<ag::Parameter* const> parameters, double decay,
                                           const DecayRule& rule = timm_decay(), const LrFactor& factor = {});

}  // namespace vitrail::optim
