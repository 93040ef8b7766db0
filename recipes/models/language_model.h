// Language models: decoders in Hugging Face's folders and in the files of llama2.c, read and written.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/data/text/language_tokenizer.h"
#include "vitrail/nn/models/llama.h"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::recipes {

/// A decoder and its special tokens.
struct DecoderConfig {
  std::string model_type = "llama";  // of Hugging Face: llama, qwen2, mistral
  nn::LlamaConfig llama;
  std::optional<int64_t> bos = {}, pad = {};
  std::vector<int64_t> eos = {};  // an answer ends at any of them
};

/// The files of a tokenizer: their contents by name, such as "tokenizer.json".
using TokenizerFiles = std::map<std::string, std::string>;
/// path: a folder, or one file of a tokenizer, which is read with the settings beside it. Empty if a folder has none.
TokenizerFiles read_tokenizer_files(const std::filesystem::path& path);
/// The tokenizer of such files. Throws as data::open_language_tokenizer.
std::shared_ptr<const data::LanguageTokenizer> open_tokenizer(const TokenizerFiles& files);
/// The files as a checkpoint keeps them, u8 tensors by name; and back.
TensorMap to_tensors(const TokenizerFiles& files);
TokenizerFiles to_tokenizer_files(const TensorMap& tensors);

/// A decoder that is ready to compute, in evaluation mode.
struct LanguageModel {
  std::filesystem::path source;  // the file of the weights
  DecoderConfig config;
  std::shared_ptr<nn::Llama> llama;
  TokenizerFiles tokenizer_files = {};  // those beside the weights, or in the checkpoint
  std::vector<std::string> notes = {};  // what was passed over

  /// The type that its matrices have, and in which it computes: see ag::Autocast.
  DType dtype() const { return llama->embed_tokens.weight.value().dtype(); }
  /// Null without tokenizer_files. Throws as data::open_language_tokenizer.
  std::shared_ptr<const data::LanguageTokenizer> tokenizer() const;
};

struct LanguageModelOptions {
  std::optional<DType> dtype = {};            // bf16, or f32; null: bf16 for a file in BF16, else f32
  bool trained = false;                       // weights that take gradients, in f32
  bool int8 = false;                          // matrices of 8 bits, made while opening: see nn::Llama::quantize_int8()
  std::vector<std::string> accept_keys = {};  // keys of config.json to pass over
  std::string base = {};                      // of an adapter: its base model; empty: where the adapter's file says
};

/// Whether the path is that of a language model: a folder with such a config.json, a file of llama2.c, the folder of a
/// run of the recipe lm, or an adapter of PEFT for one of them. base: as in LanguageModelOptions.
bool is_language_model(const std::filesystem::path& path, const std::string& base = "");

/// Opens a folder with config.json and model.safetensors or its shards, a .bin file of llama2.c, or a run of a language
/// model, see add_language_model(); for an adapter of PEFT its base, with the adapter added to the weights. Weights of
/// the model's type stay in the file, which is mapped; others are converted.
///
/// Throws: ConfigError if there is no such thing. IoError as safetensors::Reader, read_llama2c and add_adapter, if
///         config.json asks for something that is not built, naming the key, and if weights are missing, unexpected, of
///         another shape or not finite, by their names in the file.
LanguageModel open_language_model(const std::filesystem::path& path, const LanguageModelOptions& options = {});

/// Writes a folder that transformers loads: config.json, generation_config.json and model.safetensors, in the type of
/// the weights, and the tokenizer's files. Returns the files.
/// Throws ConfigError for an option that the config.json of its model_type cannot state.
std::vector<std::filesystem::path> write_language_model(const LanguageModel& model,
                                                        const std::filesystem::path& folder);

/// For recipes that train a language model: adds its description and its tokenizer to Recipe::state(). The weights lie
/// there under "model/". That is all that open_language_model() needs to open a checkpoint.
void add_language_model(TensorMap& state, const DecoderConfig& config, const TokenizerFiles& tokenizer);
/// Throws IoError if the state was made with another description or another tokenizer.
void expect_language_model(const TensorMap& state, const DecoderConfig& config, const TokenizerFiles& tokenizer);

/// A checkpoint of llama2.c, under our names; queries and keys are permuted to our rotary layout.
struct Llama2c {
  nn::LlamaConfig config;
  TensorMap weights;
};
/// Whether the file begins as a checkpoint of llama2.c does.
bool is_llama2c(const std::filesystem::path& file);
/// Versions 0 (f32 without a mark), 1 (f32) and 2 (int8 in groups, read as f32). Tensors of f32 stay in the mapped
/// file. Throws IoError for a file that is none of them, or that is cut off, with the size that its header asks for.
/// Source: karpathy/llama2.c, export.py.
Llama2c read_llama2c(const std::filesystem::path& file);

}  // namespace vitrail::recipes
