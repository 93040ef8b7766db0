// config.json of models that see: LlavaForConditionalGeneration, Idefics3, LLaVA's own program. For sources of this
// folder only.
#pragma once

#include "vitrail/recipes/config/json_object.h"
#include "vitrail/recipes/models/llava_model.h"

#include <optional>
#include <string>
#include <string_view>

namespace vitrail::recipes {

/// Whether config.json describes a model that sees.
bool is_llava_type(std::string_view model_type);

/// A config.json. A missing key has the default of the class in transformers: most files leave out many keys of their
/// sections. LLaVA's own program describes no tower, so there llava.vision is not set, and image_size is 0.
/// Throws IoError naming the key for what is not built, and for unknown keys.
LlavaHubConfig parse_llava(const JsonObject& config);
/// The name that LLaVA's own program gives to the tower; nothing for files of transformers.
std::optional<std::string> own_tower(const JsonObject& config);

/// config.json for a model with these weights. dtype: of the weights, "float32" or "bfloat16".
/// Throws ConfigError naming the option that such models do not have.
Json to_llava_json(const LlavaHubConfig& config, const std::string& dtype);

/// How images are prepared, by a preprocessor_config.json or "image_processor" of a processor_config.json. Idefics3:
/// one tile, whatever the file says of more; a note says so.
Preprocessing parse_llava_processor(const JsonObject& file, const LlavaHubConfig& config,
                                    std::vector<std::string>& notes);
/// The inverse.
std::string to_llava_processor_json(const LlavaHubConfig& config);
/// Throws IoError if the processor makes another number of tokens of an image than the model has features.
/// processor: processor_config.json; an empty object if there is none. source: the file of the weights.
void check_image_tokens(const JsonObject& processor, const LlavaHubConfig& config, const std::string& source);

}  // namespace vitrail::recipes
