// What a run of llava begins with: a tower, a decoder and its tokenizer, or a whole model.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/nn/models/llava.h"
#include "vitrail/recipes/methods/llava.h"
#include "vitrail/recipes/models/language_model.h"

#include <filesystem>
#include <string>
#include <vector>

namespace vitrail::recipes {

/// Sets the sizes that the recipe leaves to its initial weights: tower.* if tower.arch is from_init, decoder.* if
/// decoder.embed_dim is null; they are those of `init`, or of tower.init and decoder.init. Then data.mean and data.std
/// are those of the tower, and with `init` data.img_size is that of the model. Keys on the command line stay. Returns
/// messages for the log. Throws ConfigError if nothing gives a size; otherwise as open_run, read_published_model,
/// open_language_model and open_llava.
std::vector<std::string> settle_llava(Config& config, const LlavaConfig& llava);

/// The files of the tokenizer: decoder.tokenizer, that of init, or that beside decoder.init.
/// Throws ConfigError if there is none.
TokenizerFiles tokenizer_files(const LlavaConfig& config);

/// Loads the initial weights that the recipe names. Returns messages for the log, each beginning with "[init]".
/// Throws IoError if they do not fit.
std::vector<std::string> load_llava_start(nn::Llava& model, const LlavaConfig& config);

/// The model of a run.
struct LlavaRun {
  std::filesystem::path checkpoint;
  std::shared_ptr<const LlavaConfig> config;
  TensorMap weights;        // with the adapters added to them
  TensorMap adapters = {};  // "language_model.layers.0.self_attn.q_proj.lora_a"; empty without LoRA
  TokenizerFiles tokenizer_files;
};
/// Whether the path is the folder of a run of llava, or one of its checkpoints.
bool is_llava_run(const std::filesystem::path& path);
/// Opens the folder of a run, or its checkpoint. Throws ConfigError unless it is a run of llava.
LlavaRun open_llava_run(const std::filesystem::path& path, const std::vector<std::string>& changes = {});

}  // namespace vitrail::recipes
