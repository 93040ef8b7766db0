// Models that see: LLaVA and its relatives in Hugging Face's folders, read and written.
#pragma once

#include "vitrail/nn/models/llava.h"
#include "vitrail/nn/weights/llava_names.h"
#include "vitrail/recipes/build/preprocessing.h"
#include "vitrail/recipes/models/language_model.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::recipes {

/// What a folder says of its model besides the weights.
struct LlavaHubConfig {
  nn::LlavaConfig llava;  // the tower without the blocks that no feature needs
  DecoderConfig decoder;  // llava.text, and the special tokens
  nn::LlavaNames names = nn::LlavaNames::llava;
  int64_t image_token = 32000;  // the id that stands for an image in a text
  int64_t image_size = 336;     // of prepared images. A margin that is smaller than a patch is not read
  Preprocessing preprocessing = {};
};

/// A model that sees, in evaluation mode.
struct LlavaModel {
  std::filesystem::path source;  // the file of the weights; the tokenizer's files lie beside it
  LlavaHubConfig config;
  std::shared_ptr<nn::Llava> llava;
  std::vector<std::string> notes;  // what was left out or had to be assumed
  TokenizerFiles beside = {};      // files of tokenizer and processor to write, if they do not lie beside source

  /// The type that its matrices have, and in which it computes: see ag::Autocast.
  DType dtype() const { return llava->language_model.embed_tokens.weight.value().dtype(); }
};

struct LlavaOptions {
  std::optional<DType> dtype = {};            // bf16, or f32; null: bf16 for a file in BF16, else f32
  bool trained = false;                       // weights that take gradients, in f32
  std::vector<std::string> accept_keys = {};  // keys of config.json to pass over: "dropout", or with its path
  std::filesystem::path tower = {};           // of CLIP; for folders of LLaVA's own program, which lack a tower
  std::string base = {};                      // of an adapter: its base model; empty: where the adapter's file says
};

/// Whether the path is a folder whose config.json describes a model that sees, or an adapter of PEFT for one. base: as
/// in LlavaOptions.
bool is_llava(const std::filesystem::path& path, const std::string& base = "");

/// Opens a folder with config.json and model.safetensors or its shards. Models: LlavaForConditionalGeneration with the
/// image towers of CLIP and SigLIP (llava-1.5, llava-interleave); Idefics3ForConditionalGeneration and
/// SmolVLMForConditionalGeneration, of one tile an image; LLaVA's own program. For an adapter of PEFT it opens the
/// base, and adds the adapter to the weights. Weights of the model's type stay in the file, which is mapped; others are
/// converted.
///
/// Throws: ConfigError if there is no such thing. IoError as safetensors::Reader and add_adapter; naming the key of a
///         setting that is not built; if weights are missing, unexpected, of another shape or not finite; if
///         processor_config.json makes another number of tokens of an image than the model, with both numbers.
LlavaModel open_llava(const std::filesystem::path& folder, const LlavaOptions& options = {});

/// Writes a folder that transformers loads: config.json, generation_config.json, preprocessor_config.json,
/// model.safetensors in the type of the weights, copies of the tokenizer's and the processor's files from the folder of
/// model.source, and model.beside. Returns the files. Throws ConfigError naming an option that such models do not have,
/// before anything is written.
std::vector<std::filesystem::path> write_llava(const LlavaModel& model, const std::filesystem::path& folder);

}  // namespace vitrail::recipes
