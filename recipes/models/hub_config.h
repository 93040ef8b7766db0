// The JSON files that say what a published model is: config.json of Hugging Face and of timm, open_clip_config.json.
#pragma once

#include "vitrail/nn/weights/architecture.h"
#include "vitrail/recipes/build/preprocessing.h"

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace vitrail::recipes {

/// What such a file says. A file of Hugging Face has the whole architecture and its layout; one of timm or open_clip
/// leaves to the weights what follows from them.
struct HubConfig {
  const nn::Layout* layout = nullptr;
  std::optional<std::variant<nn::VitConfig, nn::ClipConfig>> architecture = {};
  nn::Unwritten unwritten = {};
  std::optional<Preprocessing> preprocessing = {};
  std::vector<std::string> classes = {};  // names, if there are any
};

/// name stands for the file in messages. Keys that a file of Hugging Face does not have are as its library has them.
/// Throws IoError naming the key for a value of another type or out of all reason (a width above 16384, more than 256
/// blocks, ...), for a kind of model that is not known here, and for options of it that are not.
HubConfig parse_config(std::string_view json, const std::string& name);
HubConfig parse_open_clip_config(std::string_view json, const std::string& name);

/// Throw ConfigError naming the option that models of the layout do not have.
std::string to_config_json(const nn::VitConfig& config, const nn::Layout& layout,
                           const std::vector<std::string>& classes);
std::string to_config_json(const nn::ClipConfig& config);
std::string to_open_clip_config_json(const nn::ClipConfig& config, const Preprocessing& preprocessing);

/// The layout of Hugging Face for a model.
const nn::Layout& hugging_face_layout(const nn::VitConfig& config);

}  // namespace vitrail::recipes
