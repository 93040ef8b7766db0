#include "vitrail/recipes/models/language_model.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/weights/llama_names.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/config/foreign_keys.h"
#include "vitrail/recipes/models/llama_json.h"
#include "vitrail/recipes/models/open_run.h"
#include "vitrail/recipes/models/peft_adapter.h"
#include "vitrail/recipes/models/published_model.h"
#include "vitrail/recipes/models/weights_file.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace vitrail::recipes {
namespace {

namespace fs = std::filesystem;

constexpr const char *kDecoderConfig = "config.json", *kGenerationConfig = "generation_config.json";
/// The files that hold tokens, and those that say more about them.
constexpr const char* kTokenFiles[] = {"tokenizer.json", "tokenizer.model", "tokenizer.bin"};
constexpr const char* kTokenSettings[] = {
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
    "chat_template.jinja"};

bool is_checkpoint_file(const fs::path& path) { return path.extension() == ".bin" && !fs::is_directory(path); }

/// Builds the model with weights of that type that are still to be given.
void build_unfilled(LanguageModel& model, DType dtype, bool trained) {
  const nn::Scope scope = nn::Scope().without_values();
  model.llama = std::make_shared<nn::Llama>(trained ? scope : scope.frozen(dtype), model.config.llama);
  model.llama->eval();
  model.config.llama = model.llama->config;  // with the width of a head
}

/// Throws IoError if the model would be far larger than its weights: a broken configuration must not ask for all
/// memory.
void expect_size(const nn::LlamaConfig& c, const TensorMap& weights, const std::string& source) {
  double there = 0;
  for (const auto& [name, weight] : weights) there += double(weight.numel());
  const double heads = double(c.num_heads + c.num_kv_heads) * double(c.head_dim);
  const double wanted = double(c.depth) * double(c.embed_dim) * (2 * heads + 3 * double(c.hidden_dim)) +
                        double(c.vocab_size) * double(c.embed_dim) * (c.tied ? 1 : 2);
  check<IoError>(wanted <= 2 * there + 1e6, "load",
                 "{}: has {} weights; its config.json describes a model of {}. They do not belong together", source,
                 there, wanted);
}

/// Throws IoError listing the names, as the file has them, that are missing, unexpected or of another shape.
void expect_decoder_weights(const nn::Llama& llama, const TensorMap& weights, const std::string& source) {
  const auto renamed = [](const TensorMap& ours) {
    TensorMap theirs;
    for (const auto& [name, tensor] : ours) theirs.emplace(nn::hf_llama_name(name), tensor);
    return theirs;
  };
  const nn::LoadReport report = nn::compare(renamed(nn::state(llama)), renamed(weights));
  const bool head_alone = report.missing == std::vector<std::string>{"lm_head.weight"};
  check<IoError>(report.ok(), "load", "{}: does not fit its config.json{}{}", source, report,
                 head_alone ? "\n  a model whose embeddings also give the logits has 'tie_word_embeddings': true" : "");
}

/// The decoder's weights in a file, under our names.
TensorMap read_decoder(const safetensors::Reader& file, const nn::LlamaConfig& config, LanguageModel& model) {
  constexpr std::string_view kComputed = "rotary_emb.inv_freq";  // older files keep the frequencies of the rotation
  TensorMap weights;
  for (const std::string& theirs : file.names()) {
    if (theirs.ends_with(kComputed)) continue;
    const std::string name = nn::llama_name(theirs).value_or(theirs);
    if (config.tied && name == "lm_head.weight") {
      model.notes.push_back(file.path() + ": '" + theirs + "' is not used: the embeddings also give the logits");
      continue;
    }
    Tensor weight = file.read(theirs);
    check_weight(file.path(), theirs, file.dtype(theirs), weight);
    check<IoError>(weights.emplace(name, std::move(weight)).second, "load",
                   "{}: '{}' and another name both stand for '{}'", file.path(), theirs, nn::hf_llama_name(name));
  }
  return weights;
}

/// A text as u8 [n], and back.
Tensor text_tensor(const std::string& text) {
  Tensor bytes = Tensor::empty({int64_t(text.size())}, DType::u8);
  std::memcpy(bytes.raw(), text.data(), text.size());
  return bytes;
}
std::string tensor_text(const Tensor& bytes) {
  const auto span = bytes.span<uint8_t>();
  return {span.begin(), span.end()};
}

constexpr const char *kStateConfig = "decoder", *kStateTokenizer = "tokenizer", *kStateModel = "model";

std::string state_config(const DecoderConfig& config) { return to_decoder_json(config, "float32").text(); }

/// Opens the checkpoint of a run.
LanguageModel open_trained(const fs::path& path, const LanguageModelOptions& options) {
  const OpenedRun run = open_run(path);
  LanguageModel model;
  model.source = run.checkpoint;
  check<ConfigError>(run.state.contains(kStateConfig), "language model", "{}: the run trains no language model",
                     path.string());
  model.config = parse_decoder(JsonObject::parse(tensor_text(run.state.at(kStateConfig)), model.source.string()));
  for (const auto& [name, bytes] : sub_map(run.state, kStateTokenizer))
    model.tokenizer_files.emplace(name, tensor_text(bytes));
  build_unfilled(model, options.dtype.value_or(DType::f32), options.trained);
  nn::share_state(*model.llama, sub_map(run.state, kStateModel), model.source.string());
  return model;
}

LanguageModel open_folder(const fs::path& folder, const LanguageModelOptions& options) {
  LanguageModel model;
  const fs::path json = folder / kDecoderConfig;
  check<ConfigError>(fs::exists(json), "language model", "{}: has no config.json", folder.string());
  const JsonObject config = JsonObject::read(json, options.accept_keys);
  model.config = parse_decoder(config);
  expect_all_read(config);
  model.notes = config.notes();
  if (fs::exists(folder / kGenerationConfig)) read_generation_config(folder / kGenerationConfig, model.config);
  const auto weights = published_weights(folder);
  check<ConfigError>(weights.has_value(), "language model", "{}: has a config.json, but no model.safetensors",
                     folder.string());
  model.source = *weights;
  const safetensors::Reader file(*weights);
  const TensorMap values = read_decoder(file, model.config.llama, model);
  expect_size(model.config.llama, values, file.path());
  const auto table = values.find("embed_tokens.weight");
  const bool is_bf16 = table != values.end() && table->second.dtype() == DType::bf16;
  build_unfilled(model, options.dtype.value_or(is_bf16 ? DType::bf16 : DType::f32), options.trained);
  expect_decoder_weights(*model.llama, values, file.path());
  nn::share_state(*model.llama, values, file.path());
  model.tokenizer_files = read_tokenizer_files(folder);
  return model;
}

LanguageModel open_checkpoint_file(const fs::path& path, const LanguageModelOptions& options) {
  const Llama2c checkpoint = read_llama2c(path);
  LanguageModel model;
  model.source = path;
  model.config.llama = checkpoint.config;
  // llama2.c puts the start of a text between texts: there a new start is the end.
  model.config.bos = 1;
  model.config.eos = {1, 2};
  for (const auto& [name, weight] : checkpoint.weights) check_weight(path.string(), name, "F32", weight);
  build_unfilled(model, options.dtype.value_or(DType::f32), options.trained);
  nn::share_state(*model.llama, checkpoint.weights, path.string());
  model.tokenizer_files = read_tokenizer_files(path.has_parent_path() ? path.parent_path() : ".");
  return model;
}

LanguageModel open_any(const fs::path& path, const LanguageModelOptions& options);

/// The base of an adapter, with the adapter added to its weights.
LanguageModel open_adapted(const fs::path& path, const LanguageModelOptions& options) {
  LanguageModel model = open_any(base_of_adapter(path, options.base), options);
  TensorMap weights = nn::state(*model.llama);
  add_adapter(weights, path, options.accept_keys, model.notes);
  nn::share_state(*model.llama, weights, path.string());
  return model;
}

LanguageModel open_any(const fs::path& path, const LanguageModelOptions& options) {
  if (is_adapter(path)) return open_adapted(path, options);
  if (is_checkpoint_file(path)) return open_checkpoint_file(path, options);
  if (!fs::exists(path / kDecoderConfig) && (path.extension() == ".h5" || fs::exists(path / "checkpoints")))
    return open_trained(path, options);
  check<ConfigError>(fs::is_directory(path), "language model",
                     "{}: give a folder with config.json and model.safetensors, a .bin file of llama2.c, or a run",
                     path.string());
  return open_folder(path, options);
}

}  // namespace

TokenizerFiles read_tokenizer_files(const fs::path& path) {
  constexpr int64_t kMostBytes = int64_t{1} << 28;
  TokenizerFiles files;
  const auto add = [&](const fs::path& file, const std::string& name) {
    if (fs::exists(file)) files.emplace(name, read_file(file, kMostBytes));
  };
  const bool folder = fs::is_directory(path);
  if (folder)
    for (const char* const name : kTokenFiles) add(path / name, name);
  else
    add(path, "tokenizer" + path.extension().string());  // whatever its name
  const fs::path beside = folder ? path : path.parent_path();
  if (!files.empty())
    for (const char* const name : kTokenSettings) add(beside / name, name);
  return files;
}

std::shared_ptr<const data::LanguageTokenizer> open_tokenizer(const TokenizerFiles& files) {
  // A tokenizer is opened from files. These are written for that moment.
  std::string folder = (fs::temp_directory_path() / "vitrail-tokenizer-XXXXXX").string();
  if (!::mkdtemp(folder.data())) fail_errno("language model", folder, "make the folder");
  const std::shared_ptr<const std::string> removed(&folder, [](const std::string* name) {
    std::error_code ignored;
    fs::remove_all(*name, ignored);
  });
  for (const auto& [name, content] : files) durable_write(fs::path(folder) / name, content);
  return data::open_language_tokenizer(folder);
}

std::shared_ptr<const data::LanguageTokenizer> LanguageModel::tokenizer() const {
  if (tokenizer_files.empty()) return nullptr;
  if (source.extension() == ".h5") return open_tokenizer(tokenizer_files);
  return data::open_language_tokenizer(fs::absolute(source).parent_path());
}

TensorMap to_tensors(const TokenizerFiles& files) {
  TensorMap tensors;
  for (const auto& [name, content] : files) tensors.emplace(name, text_tensor(content));
  return tensors;
}

TokenizerFiles to_tokenizer_files(const TensorMap& tensors) {
  TokenizerFiles files;
  for (const auto& [name, bytes] : tensors) files.emplace(name, tensor_text(bytes));
  return files;
}

void add_language_model(TensorMap& state, const DecoderConfig& config, const TokenizerFiles& tokenizer) {
  state.insert_or_assign(kStateConfig, text_tensor(state_config(config)));
  add_map(state, kStateTokenizer, to_tensors(tokenizer));
}

void expect_language_model(const TensorMap& state, const DecoderConfig& config, const TokenizerFiles& tokenizer) {
  const auto found = state.find(kStateConfig);
  check<IoError>(found != state.end() && tensor_text(found->second) == state_config(config), "checkpoint",
                 "its language model is not the one of now: the keys of model, or the tokenizer, have changed");
  check<IoError>(to_tokenizer_files(sub_map(state, kStateTokenizer)) == tokenizer, "checkpoint",
                 "its tokenizer is not the one of now: data.tokenizer has changed");
}

bool is_language_model(const fs::path& path, const std::string& base) {
  if (is_adapter(path)) {
    const std::optional<fs::path> found = find_base(path, base);
    return found && !is_adapter(*found) && is_language_model(*found);
  }
  if (is_checkpoint_file(path)) return fs::exists(path) && is_llama2c(path);
  const fs::path json = path / kDecoderConfig, recipe = path / "recipe.yaml";
  if (fs::exists(recipe) && fs::exists(path / "checkpoints")) return recipe_name(recipe) == "lm";
  return fs::exists(json) && is_decoder_type(JsonObject::read(json).text("model_type", ""));
}

LanguageModel open_language_model(const fs::path& path, const LanguageModelOptions& options) {
  check<ConfigError>(fs::exists(path), "language model", "{}: no such file or folder", path.string());
  check<ConfigError>(!options.trained || options.dtype.value_or(DType::f32) == DType::f32, "language model",
                     "trained weights are f32, not {}", options.dtype.value_or(DType::f32));
  check<ConfigError>(!options.trained || !options.int8, "language model", "int8 weights cannot be trained");
  LanguageModel model = open_any(path, options);
  if (options.int8) model.llama->quantize_int8();
  return model;
}

std::vector<fs::path> write_language_model(const LanguageModel& model, const fs::path& folder) {
  const DType dtype = model.dtype();
  const Json config = to_decoder_json(model.config, dtype == DType::bf16 ? "bfloat16" : "float32");
  std::error_code error;
  fs::create_directories(folder, error);
  check<WriteError>(!error, "language model", "{}: cannot make the folder: {}", folder.string(), error.message());

  TensorMap weights;  // one type for all, as transformers writes them; norms of a bf16 model come from bf16
  for (const auto& [name, tensor] : nn::state(*model.llama)) weights.emplace(nn::hf_llama_name(name), tensor.to(dtype));
  std::vector<fs::path> files = {folder / "model.safetensors", folder / kDecoderConfig, folder / kGenerationConfig};
  safetensors::save(files[0], weights);
  durable_write(files[1], config.text(2) + "\n");
  durable_write(files[2], to_generation_json(model.config).text(2) + "\n");
  for (const auto& [name, content] : model.tokenizer_files) {
    files.push_back(folder / name);
    durable_write(files.back(), content);
  }
  return files;
}

}  // namespace vitrail::recipes
