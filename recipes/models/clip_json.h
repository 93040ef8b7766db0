// The JSON files that describe CLIP models: config.json of Hugging Face and open_clip_config.json. For sources of this
// folder only.
#pragma once

#include "vitrail/nn/models/clip.h"
#include "vitrail/recipes/models/hub_config.h"
#include "vitrail/recipes/models/model_family.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

/// The model types of Hugging Face that this family reads.
std::span<const HubModelType> clip_model_types();

/// config.json of Hugging Face for the image tower alone: the section "vision_config" of a CLIP, or that section's
/// keys.
HubConfig parse_clip_vision_config(const JsonObject& config);
/// Parses an open_clip_config.json. name: the file, for messages. accepted: keys to pass over, see JsonObject. Throws
/// IoError as parse_config.
HubConfig parse_open_clip_config(std::string_view json, const std::string& name,
                                 const std::vector<std::string>& accepted = {});

/// config.json of Hugging Face. dtype: of the weights, see torch_dtype(). Throws ConfigError naming the option that its
/// models do not have.
std::string to_config_json(const nn::ClipConfig& config, const std::string& dtype);
/// The same for the image tower alone.
std::string to_clip_vision_config_json(const nn::VitConfig& config, const std::string& dtype);
/// Throws ConfigError naming the option that models of open_clip do not have.
std::string to_open_clip_config_json(const nn::ClipConfig& config, const Preprocessing& preprocessing);

}  // namespace vitrail::recipes
