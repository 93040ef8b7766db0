// The architecture of the weights from which a run starts (`model.arch: from_init`), and how it differs from a
// recipe's.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/recipes/build/build_model.h"

#include <string>
#include <vector>

namespace vitrail::recipes {

class Config;

/// The `model:` section that builds this transformer. Throws ConfigError naming the options that no key gives.
ModelConfig model_section(const nn::VitConfig& vit);

/// If model.arch is from_init: sets the keys model.* to the architecture of the weights at init, and data.mean and
/// data.std to the pixels that they were trained on, except for keys that the command line gives. Returns messages for
/// the log. Throws ConfigError if init is empty or no image model; otherwise as open_run and read_published_model.
std::vector<std::string> settle_architecture(Config& config, const std::string& init);

/// What to change in a recipe whose network lacks weights or has others, by the kind of difference: "the weights have a
/// class token: model.global_pool=token". Both maps have our names. Empty if the kind is unknown.
std::string fit_hint(const TensorMap& network, const TensorMap& weights);

}  // namespace vitrail::recipes
