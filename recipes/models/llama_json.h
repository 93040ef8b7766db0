// config.json of decoders: Llama, Qwen2, Mistral. For sources of this folder only.
#pragma once

#include "vitrail/recipes/config/json_object.h"
#include "vitrail/recipes/models/language_model.h"

#include <filesystem>
#include <string>
#include <string_view>

namespace vitrail::recipes {

/// Whether models of this type are decoders that nn::Llama computes.
bool is_decoder_type(std::string_view model_type);
/// "llama, qwen2, mistral"
std::string decoder_types();

/// A config.json, or the section "text_config" of a model that reads images. A missing key has the default that
/// transformers gives to that "model_type"; without one, to llama. Call expect_all_read() afterwards.
/// Throws IoError naming the key for a value that is out of range, and for what is not built: a "sliding_window",
/// rope scalings other than linear and llama3, biases other than those of Qwen2, other activations.
DecoderConfig parse_decoder(const JsonObject& config);
/// Takes the special tokens of a generation_config.json, where it has them; its other keys are the user's to choose.
void read_generation_config(const std::filesystem::path& file, DecoderConfig& config);

/// Of config.json; dtype: of the weights, "float32" or "bfloat16". And of generation_config.json.
Json to_decoder_json(const DecoderConfig& config, const std::string& dtype);
Json to_generation_json(const DecoderConfig& config);

}  // namespace vitrail::recipes
