#include "vitrail/recipes/models/llava_model.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/hub_json.h"
#include "vitrail/recipes/models/llama_json.h"
#include "vitrail/recipes/models/llava_json.h"
#include "vitrail/recipes/models/model_family.h"
#include "vitrail/recipes/models/peft_adapter.h"
#include "vitrail/recipes/models/published_model.h"
#include "vitrail/recipes/models/weights_file.h"

#include <algorithm>
#include <utility>

namespace vitrail::recipes {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTowerPrefix = "vision_tower.";
/// Files of tokenizers and processors, which move with the model as they are.
constexpr const char* kBesideLlava[] = {"added_tokens.json", "chat_template.jinja",   "chat_template.json",
                                        "merges.txt",        "processor_config.json", "tokenizer.json",
                                        "tokenizer.model",   "tokenizer_config.json", "special_tokens_map.json",
                                        "vocab.json"};

/// The weights of a file under our names, each finite and in the type that the model will have.
nn::Converted read_llava_weights(const safetensors::Reader& file, const LlavaHubConfig& config, DType dtype) {
  TensorMap theirs;
  for (const std::string& name : file.names()) {
    Tensor weight = file.read(name);
    if (is_floating(weight.dtype())) check_weight(file.path(), name, file.dtype(name), weight);
    // Rounded one by one, so that a large decoder in F16 is never in memory in f32. The tower stays f32.
    const bool rounds = dtype == DType::bf16 && weight.rank() >= 2 && name.find("vision_") == name.npos;
    theirs.emplace(name, rounds ? weight.to(DType::bf16) : std::move(weight));
  }
  return nn::llava_from_hf(theirs, config.llava.text.tied);
}

/// Gives the tower of a folder of CLIP to a model of LLaVA's own program.
void take_tower(LlavaHubConfig& config, TensorMap& weights, const std::string& name, const LlavaOptions& options,
                const std::string& file) {
  check<ConfigError>(
      !options.tower.empty(), "llava",
      "{}: 'mm_vision_tower' is \"{}\", whose weights are not in the folder; give a folder of that model (--tower)",
      file, name);
  PublishedModel tower = read_published_model(options.tower);
  const bool clip = tower.layout->family == nn::Family::clip;
  config.llava.vision = tower.architecture->vision();
  config.llava.vision.num_classes = 0;
  config.llava.vision.head_bias = true;
  config.image_size = config.llava.vision.img_size;
  config.preprocessing = tower.preprocessing;
  std::erase_if(weights, [](const auto& item) { return item.first.starts_with(kTowerPrefix); });
  for (auto& [key, t] : clip ? without_prefix(tower.weights, "visual.") : tower.weights)
    if (!key.starts_with("head.")) weights[std::string(kTowerPrefix) + key] = t;
}

/// Leaves out the blocks of the tower that no feature needs.
void drop_unread_blocks(LlavaHubConfig& config, TensorMap& weights, std::vector<std::string>& notes) {
  const int64_t before = config.llava.vision.depth;
  config.llava = config.llava.without_unread_blocks();
  const int64_t kept = config.llava.vision.depth;
  if (kept == before) return;
  for (int64_t i = kept; i < before; ++i) {
    const std::string prefix = std::string(kTowerPrefix) + "blocks." + std::to_string(i) + ".";
    std::erase_if(weights, [&](const auto& item) { return item.first.starts_with(prefix); });
  }
  notes.push_back("the last " + std::to_string(before - kept) + " of " + std::to_string(before) +
                  " blocks of the image tower are left out: their outputs are not used");
}

/// Throws IoError if the model would be far larger than its weights: a broken configuration must not ask for all
/// memory.
void expect_llava_size(const nn::LlavaConfig& c, const TensorMap& weights, const std::string& source) {
  double there = 0;
  for (const auto& [name, weight] : weights) there += double(weight.numel());
  const nn::LlamaConfig& t = c.text;
  const nn::VitConfig& v = c.vision;
  const double text = double(t.embed_dim), image = double(v.embed_dim), patch = double(v.patch_size);
  const double heads = double(t.num_heads + t.num_kv_heads) * double(t.head_dim);
  const double wanted = double(t.depth) * text * (2 * heads + 3 * double(t.hidden_dim)) + double(t.vocab_size) * text +
                        double(v.depth) * image * (4 * image + 2 * double(hidden_width(v))) +
                        image * (3 * patch * patch + double(v.grid_side() * v.grid_side())) +
                        text * (double(c.feature_dim()) + double(c.projector.depth - 1) * text);
  check<IoError>(wanted <= 2 * there + 1e6, "load",
                 "{}: has {} weights; its config.json describes a model of {}. They do not belong together", source,
                 there, wanted);
}

/// Throws IoError listing the names, as the file has them, that are missing, unexpected or of another shape.
void expect_llava_weights(const nn::Llava& llava, const TensorMap& weights, nn::LlavaNames names,
                          const std::string& source) {
  const auto renamed = [&](const TensorMap& ours) {
    TensorMap theirs;
    for (const auto& [name, tensor] : ours) theirs.emplace(nn::llava_name(name, names), tensor);
    return theirs;
  };
  const nn::LoadReport report = nn::compare(renamed(nn::state(llava)), renamed(weights));
  check<IoError>(report.ok(), "load", "{}: does not fit its config.json{}", source, report);
}

/// Finds how images are prepared. Since version 5 transformers keeps all processors in one file, and prefers it.
void find_llava_preprocessing(const fs::path& folder, const LlavaOptions& options, LlavaModel& model) {
  const fs::path newer = folder / "processor_config.json", older = folder / "preprocessor_config.json";
  const JsonObject none = JsonObject::parse("{}", newer.string());
  const JsonObject processor = fs::exists(newer) ? JsonObject::read(newer, options.accept_keys) : none;
  LlavaHubConfig& config = model.config;
  if (processor.has("image_processor"))
    config.preprocessing = parse_llava_processor(processor.object("image_processor"), config, model.notes);
  else if (fs::exists(older))
    config.preprocessing = parse_llava_processor(JsonObject::read(older, options.accept_keys), config, model.notes);
  else if (options.tower.empty()) {
    config.preprocessing = parse_llava_processor(none, config, model.notes);
    if (config.preprocessing.crop > 0) config.preprocessing.crop = config.image_size;
    config.preprocessing.size = config.image_size;
    model.notes.push_back("nothing says how images are prepared; as is usual: " + config.preprocessing.text());
  }
  check_image_tokens(processor, config, model.source.string());
}

}  // namespace

bool is_llava(const fs::path& path, const std::string& base) {
  if (is_adapter(path)) {
    const std::optional<fs::path> found = find_base(path, base);
    return found && !is_adapter(*found) && is_llava(*found);
  }
  const fs::path json = path / "config.json";
  return fs::exists(json) && is_llava_type(JsonObject::read(json).text("model_type", ""));
}

LlavaModel open_llava(const fs::path& path, const LlavaOptions& options) {
  const bool adapted = is_adapter(path);
  const fs::path folder = adapted ? base_of_adapter(path, options.base) : path;
  const fs::path json = folder / "config.json";
  check<ConfigError>(fs::exists(json), "llava", "{}: no folder with a config.json", folder.string());
  check<ConfigError>(!options.trained || options.dtype.value_or(DType::f32) == DType::f32, "llava",
                     "trained weights are f32, not {}", options.dtype.value_or(DType::f32));
  LlavaModel model;
  const JsonObject c = JsonObject::read(json, options.accept_keys);
  model.config = parse_llava(c);
  model.notes = c.notes();
  const fs::path generation = folder / "generation_config.json";
  if (fs::exists(generation)) read_generation_config(generation, model.config.decoder);
  const auto source = published_weights(folder);
  check<ConfigError>(source.has_value(), "llava", "{}: has a config.json, but no model.safetensors", folder.string());
  model.source = *source;
  const safetensors::Reader file(model.source);
  const std::vector<std::string> names = file.names();
  const bool in_bf16 = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return name.ends_with("embed_tokens.weight") && file.dtype(name) == "BF16";
  });
  const DType dtype = options.trained ? DType::f32 : options.dtype.value_or(in_bf16 ? DType::bf16 : DType::f32);
  nn::Converted converted = read_llava_weights(file, model.config, dtype);
  std::move(converted.notes.begin(), converted.notes.end(), std::back_inserter(model.notes));
  TensorMap& weights = converted.weights;
  const bool pads = model.config.preprocessing.pad;  // LLaVA's own program says it in config.json
  if (const auto tower = own_tower(c)) take_tower(model.config, weights, *tower, options, json.string());
  if (adapted) add_adapter(weights, path, options.accept_keys, model.notes);
  drop_unread_blocks(model.config, weights, model.notes);
  find_llava_preprocessing(folder, options, model);
  model.config.preprocessing.pad |= pads;

  expect_llava_size(model.config.llava, weights, file.path());
  const nn::Scope scope = nn::Scope().without_values();
  model.llava = std::make_shared<nn::Llava>(options.trained ? scope : scope.frozen(dtype), model.config.llava);
  model.llava->eval();
  expect_llava_weights(*model.llava, weights, model.config.names, file.path());
  nn::share_state(*model.llava, weights, file.path());
  return model;
}

std::vector<fs::path> write_llava(const LlavaModel& model, const fs::path& folder) {
  const DType dtype = model.dtype();
  LlavaHubConfig hub = model.config;
  hub.decoder.llama = model.llava->language_model.config;  // with the width of a head
  const Json config = to_llava_json(hub, dtype == DType::bf16 ? "bfloat16" : "float32");
  TensorMap weights = nn::llava_to_hf(nn::state(*model.llava), model.config.names);
  for (auto& item : weights) item.second = item.second.to(dtype);  // one type for all, as transformers writes them
  std::error_code error;
  fs::create_directories(folder, error);
  check<WriteError>(!error, "llava", "{}: cannot make the folder: {}", folder.string(), error.message());

  const std::pair<const char*, std::string> texts[] = {
      {"config.json", config.text(2) + "\n"},
      {"generation_config.json", to_generation_json(model.config.decoder).text(2) + "\n"},
      {"preprocessor_config.json", to_llava_processor_json(model.config)}};
  std::vector<fs::path> files = {folder / "model.safetensors"};
  safetensors::save(files[0], weights);
  for (const auto& [name, text] : texts) {
    durable_write(folder / name, text);
    files.push_back(folder / name);
  }
  const fs::path from = model.source.parent_path();
  for (const char* const name : kBesideLlava) {
    if (!fs::exists(from / name) || fs::equivalent(from, folder)) continue;
    fs::copy_file(from / name, folder / name, fs::copy_options::overwrite_existing);
    files.push_back(folder / name);
  }
  for (const auto& [name, content] : model.beside) {
    durable_write(folder / name, content);
    files.push_back(folder / name);
  }
  return files;
}

}  // namespace vitrail::recipes
