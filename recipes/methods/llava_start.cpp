#include "vitrail/recipes/methods/llava_start.h"

#include "vitrail/core/error.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/weights/transfer.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/models/llava_model.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/open_run.h"
#include "vitrail/recipes/models/peft_adapter.h"
#include "vitrail/recipes/models/start_architecture.h"
#include "vitrail/recipes/models/start_weights.h"
#include "vitrail/recipes/run/run_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace vitrail::recipes {
namespace {

namespace fs = std::filesystem;

/// What initial weights decide. A key that names a file is not among them.
struct LlavaFacts {
  LlavaModelConfig model;
  DataConfig data;  // pixels alone

  void describe(Fields& f) {
    model.describe(f);
    f.section("data", [&] {
      data.describe_pixels(f);
      data.describe_square(f);
    });
  }
};

bool is_file_key(std::string_view key) { return key.ends_with(".init") || key.ends_with(".tokenizer"); }

/// Sets the keys that begin with one of the beginnings, but for those that the command line gives.
void take_keys(Config& config, LlavaFacts facts, const std::vector<std::string>& beginnings, const std::string& from) {
  Fields fields;
  facts.describe(fields);
  for (const Field& source : fields.list()) {
    const Field* const own = config.find(source.key);
    const bool wanted = std::any_of(beginnings.begin(), beginnings.end(),
                                    [&](const std::string& beginning) { return source.key.starts_with(beginning); });
    if (!wanted || is_file_key(source.key) || own == nullptr) continue;
    const bool asks = source.key == "tower.arch" || source.key == "decoder.embed_dim";  // for the sizes of the weights
    if (own->is_of_command_line() && !asks) continue;
    if (source.key == "data.square" && own->origin != "default") continue;  // the recipe's choice: no weight needs it
    config.set(source.key + "=" + to_yaml(source), "the weights of " + from);
  }
}

/// Takes the sizes of a vision transformer. Throws ConfigError naming what no key gives.
void set_tower(LlavaModelConfig::Tower& tower, nn::VitConfig vit) {
  tower.class_token = vit.class_token || vit.fc_norm;  // with fc_norm it is of global_pool: avg
  if (!tower.class_token) {
    vit.class_token = true;
    vit.pool = nn::Pool::token;
  }
  tower.vit = model_section(vit);
}

void set_pixels(DataConfig& data, const Preprocessing& p) {
  data.mean.assign(p.mean.begin(), p.mean.end());
  data.std.assign(p.std.begin(), p.std.end());
  data.square = p.pad ? Square::pad : p.resize == Preprocessing::Resize::shorter ? Square::crop : Square::stretch;
}

/// The whole of a model: of a run, or of a folder of Hugging Face.
LlavaFacts facts_of(const std::string& init, const std::vector<std::string>& accept_keys) {
  LlavaFacts facts;
  if (!is_llava(init)) {
    const LlavaRun run = open_llava_run(init);
    facts.model = run.config->model;
    facts.data = run.config->data;
    return facts;
  }
  const LlavaHubConfig hub = open_llava(init, {.accept_keys = accept_keys}).config;
  LlavaModelConfig::Tower& tower = facts.model.tower;
  set_tower(tower, hub.llava.vision);
  tower.feature_layer = hub.llava.feature_layers;
  tower.feature_norm = hub.llava.feature_norm;
  tower.select = hub.llava.select;
  tower.pixel_shuffle = hub.llava.pixel_shuffle;
  tower.prefix = hub.llava.prefix;
  facts.model.projector = {.depth = hub.llava.projector.depth, .bias = hub.llava.projector.bias};
  facts.model.decoder.set(hub.llava.text);
  facts.data.img_size = hub.image_size;
  set_pixels(facts.data, hub.preprocessing);
  return facts;
}

/// The weights of a model under the names that they have as a part of another one.
TensorMap with_prefix(const TensorMap& weights, const std::string& prefix) {
  TensorMap result;
  for (const auto& [name, tensor] : weights) result.emplace(prefix + name, tensor);
  return result;
}

/// Loads weights without adapters into a model that may have some. Its adapters keep their initial values.
void load(nn::ModuleBase& model, TensorMap weights, const std::string& from) {
  for (const auto& [name, value] : nn::state(model))
    if (nn::is_lora(name)) weights.emplace(name, value);
  nn::load_state(model, weights, from);
}

/// The tower of another model, without what Llava does not have: its last blocks and its classifier.
void load_tower(nn::Llava& model, const LlavaConfig& config, std::vector<std::string>& notes) {
  const std::string& init = config.model.tower.init;
  check<ConfigError>(model.vision_tower.has_value(), "tower.init", "early fusion (tower.kind=patches) has no tower");
  nn::VisionTransformer whole(nn::Scope().without_values(), whole_tower(config.model, config.data.img_size));
  StartWeights start = without_texts(read_weights(init, config.accept_keys));
  std::erase_if(start.tensors, [](const auto& item) { return item.first.starts_with("head"); });
  for (std::string& note : load_start(whole, std::move(start), init, eval_preprocessing(config.data)))
    notes.push_back(std::move(note));
  TensorMap weights = nn::state(whole);
  for (int64_t i = model.config.vision.depth; i < whole.config.depth; ++i) {
    const std::string prefix = fmt::format("blocks.{}.", i);
    std::erase_if(weights, [&](const auto& item) { return item.first.starts_with(prefix); });
  }
  nn::load_state(*model.vision_tower, with_prefix(weights, "vision_tower."), init);
}

void load_decoder(nn::Llava& model, const LlavaConfig& config, std::vector<std::string>& notes) {
  const std::string& init = config.model.decoder.init;
  const LanguageModel decoder = open_language_model(init, {.dtype = DType::f32, .accept_keys = config.accept_keys});
  notes.push_back("[init] decoder of " + init);
  for (const std::string& note : decoder.notes) notes.push_back("[init] " + init + ": " + note);
  load(model.language_model, with_prefix(nn::state(*decoder.llama), "language_model."), init);
}

}  // namespace

bool is_llava_run(const fs::path& path) {
  constexpr std::string_view kMethod = "llava";
  const RunFiles files(path);
  if (fs::exists(files.resolved())) return recipe_name(files.resolved()) == kMethod;
  const bool checkpoint =
      fs::is_directory(path) ? files.has_checkpoint() : fs::exists(path) && path.extension() == ".h5";
  return checkpoint && open_run(path).settings->recipe == kMethod;
}

LlavaRun open_llava_run(const fs::path& path, const std::vector<std::string>& changes) {
  OpenedRun run = open_run(path, changes);
  const auto config =
      std::dynamic_pointer_cast<const LlavaConfig>(std::shared_ptr<RecipeConfig>(std::move(run.settings)));
  check<ConfigError>(config != nullptr, "llava", "{} is no run of the method llava", run.checkpoint.string());
  LlavaRun opened{.checkpoint = run.checkpoint,
                  .config = config,
                  .weights = sub_map(run.state, "model"),
                  .tokenizer_files = to_tokenizer_files(sub_map(run.state, "tokenizer"))};
  for (const auto& [name, value] : opened.weights)
    if (nn::is_lora(name)) opened.adapters.emplace(name, value);
  opened.weights = config->lora.merged(std::move(opened.weights));
  return opened;
}

std::vector<std::string> settle_llava(Config& config, const LlavaConfig& llava) {
  const LlavaModelConfig& model = llava.model;
  const bool vit = model.tower.kind == nn::VisionTower::vit;
  const bool needs_tower = vit && model.tower.vit.arch == kFromInit, needs_decoder = !model.decoder.embed_dim;
  std::vector<std::string> notes;
  if (!llava.init.empty() && (needs_tower || needs_decoder)) {
    check<ConfigError>(needs_tower == vit && needs_decoder, "init",
                       "{} has a tower and a decoder: leave out tower.arch and decoder.embed_dim, or give the sizes of "
                       "both",
                       llava.init);
    take_keys(config, facts_of(llava.init, llava.accept_keys),
              {"tower.", "projector.", "decoder.", "data.img_size", "data.mean", "data.std", "data.square"},
              llava.init);
    return {"[init] model and pixels of " + llava.init};
  }
  if (needs_tower) {
    check<ConfigError>(!model.tower.init.empty(), "tower.arch",
                       "from_init: tower.init=RUN or FOLDER takes a tower; tower.arch=vit_tiny begins a new one");
    const OpenModel opened = open_model(model.tower.init, {}, {.accept_keys = llava.accept_keys});
    const nn::VisionTransformer* const tower = opened.backbone ? nn::find_vit(*opened.backbone) : nullptr;
    check<ConfigError>(tower != nullptr, "tower.init", "{} is no vision transformer", model.tower.init);
    LlavaFacts facts;
    facts.model.tower = model.tower;  // what is read of it stays
    set_tower(facts.model.tower, tower->config);
    set_pixels(facts.data, opened.preprocessing);
    take_keys(config, facts, {"tower.", "data.mean", "data.std"}, model.tower.init);
    notes.push_back("[init] tower and pixels of " + model.tower.init);
  }
  if (needs_decoder) {
    check<ConfigError>(!model.decoder.init.empty(), "decoder",
                       "has no size: decoder.init=FOLDER takes a language model, decoder.embed_dim=192 with "
                       "decoder.tokenizer=FILE begins a new one");
    LlavaFacts facts;
    facts.model.decoder.set(open_language_model(model.decoder.init, {.accept_keys = llava.accept_keys}).config.llama);
    take_keys(config, facts, {"decoder."}, model.decoder.init);
    notes.push_back("[init] sizes of the decoder of " + model.decoder.init);
  } else if (!model.decoder.vocab_size) {
    const int64_t words = open_tokenizer(tokenizer_files(llava))->size();
    config.set(fmt::format("decoder.vocab_size={}", words), "the tokenizer");
  }
  return notes;
}

TokenizerFiles tokenizer_files(const LlavaConfig& config) {
  const LlavaModelConfig::Decoder& decoder = config.model.decoder;
  TokenizerFiles files;
  std::string place = decoder.tokenizer;
  if (!place.empty()) {
    files = read_tokenizer_files(place);
  } else if (place = config.init; !place.empty()) {
    const std::string folder = is_adapter(place) ? base_of_adapter(place).string() : place;
    files = is_llava(folder) ? read_tokenizer_files(folder) : open_llava_run(folder).tokenizer_files;
  } else if (place = decoder.init; !place.empty()) {
    files = open_language_model(place, {.accept_keys = config.accept_keys}).tokenizer_files;
  }
  check<ConfigError>(!files.empty(), "decoder.tokenizer",
                     "{}; decoder.tokenizer=FILE names a tokenizer.json, tokenizer.model or tokenizer.bin",
                     place.empty() ? "is empty" : place + " has no tokenizer");
  return files;
}

std::vector<std::string> load_llava_start(nn::Llava& model, const LlavaConfig& config) {
  std::vector<std::string> notes;
  if (!config.init.empty()) {
    notes.push_back("[init] weights of " + config.init);
    if (is_llava(config.init)) {
      const LlavaModel opened = open_llava(config.init, {.dtype = DType::f32, .accept_keys = config.accept_keys});
      for (const std::string& note : opened.notes) notes.push_back("[init] " + config.init + ": " + note);
      load(model, nn::state(*opened.llava), config.init);
    } else {
      load(model, open_llava_run(config.init).weights, config.init);
    }
  }
  if (!config.model.tower.init.empty()) load_tower(model, config, notes);
  if (!config.model.decoder.init.empty()) load_decoder(model, config, notes);
  if (!config.lora.init.empty()) load_adapter(model, config.lora.init, config.accept_keys, notes);
  return notes;
}

}  // namespace vitrail::recipes
