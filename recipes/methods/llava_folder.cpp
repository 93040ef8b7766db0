#include "vitrail/recipes/methods/llava_folder.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/json.h"
#include "vitrail/core/ops.h"
#include "vitrail/data/text/chat_template.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/weights/llama_names.h"
#include "vitrail/recipes/build/freeze.h"
#include "vitrail/recipes/methods/llava_answer.h"
#include "vitrail/recipes/models/peft_adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vitrail::recipes {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTower = "vision_tower.", kDecoder = "language_model.", kWeight = ".weight",
                           kLoraA = ".lora_a";

/// The class of Hugging Face that is nearest to the model.
nn::LlavaNames names_for(const nn::LlavaConfig& c) {
  return c.projector.depth == 1 ? nn::LlavaNames::idefics3 : nn::LlavaNames::llava;
}

// ---- whole models ---------------------------------------------------------------------------------------------------

constexpr const char *kTokenizer = "tokenizer.json", *kTokenizerConfig = "tokenizer_config.json",
                     *kJinja = "chat_template.jinja";
constexpr std::string_view kWritable =
    "Written are runs that read the tower of a CLIP or SigLIP without its final norm through two linear layers, as "
    "LLaVA, or a SigLIP's last layer after the norm through one linear layer without a bias, as Idefics3";

/// Appends rows until there are so many. Each is the mean of the others, so that as a word it is never the likeliest.
Tensor with_rows(const Tensor& table, int64_t rows) {
  if (table.size(0) >= rows) return table;
  std::vector<Tensor> parts = {table};
  parts.resize(size_t(1 + rows - table.size(0)), core::mean(table, {0}, /*keepdim=*/true));
  return core::concat(parts, 0);
}

/// Adds the token of an image to the files of a tokenizer.
void add_image_token(TokenizerFiles& files, int64_t id) {
  const bool hub = files.contains(kTokenizer);
  const char* const file = hub ? kTokenizer : "added_tokens.json";
  Json json = files.contains(file) ? Json::parse(files.at(file)) : Json::object();
  if (hub)
    json["added_tokens"].push_back(Json::object({{"id", id},
                                                 {"content", data::kImageMark},
                                                 {"single_word", false},
                                                 {"lstrip", false},
                                                 {"rstrip", false},
                                                 {"normalized", false},
                                                 {"special", true}}));
  else
    json[data::kImageMark] = id;
  files[file] = json.text(2) + "\n";
}

/// What transformers needs to know of a tokenizer.json that has no settings beside it.
std::string tokenizer_config_json(const data::LanguageTokenizer& tokenizer) {
  Json json = Json::object({{"tokenizer_class", "PreTrainedTokenizerFast"}});
  if (const auto id = tokenizer.bos()) json["bos_token"] = tokenizer.piece(*id);
  if (const auto ids = tokenizer.eos(); !ids.empty()) json["eos_token"] = tokenizer.piece(ids.front());
  if (const auto id = tokenizer.pad()) json["pad_token"] = tokenizer.piece(*id);
  return json.text(2) + "\n";
}

/// How a processor makes the tokens of an image.
std::string processor_json(const nn::LlavaConfig& c, nn::LlavaNames names) {
  const bool full = c.select == nn::FeatureSelect::full;
  const Json json = names == nn::LlavaNames::idefics3
                        ? Json::object({{"processor_class", "Idefics3Processor"}, {"image_seq_len", c.image_tokens()}})
                        : Json::object({{"processor_class", "LlavaProcessor"},
                                        {"image_token", data::kImageMark},
                                        {"patch_size", c.vision.patch_size},
                                        {"num_additional_image_tokens", c.vision.class_token ? 1 : 0},
                                        {"vision_feature_select_strategy", full ? "full" : "default"}});
  return json.text(2) + "\n";
}

/// The ids of a question about an image.
std::vector<int64_t> ids_of_question(const data::LanguageTokenizer& tokenizer, const data::PromptTemplate& form) {
  const data::Conversation question = {{{data::Role::user, "<image>\nWhat is this?"}}, {}};
  return data::label_segments(question, form, tokenizer).ids;
}

/// Finds the id of an image in the tokenizer of the model, which gets one if it has none.
int64_t find_image_token(LlavaModel& model, const data::PromptTemplate& form) {
  const auto before = open_tokenizer(model.beside);
  if (const auto id = before->id_of(data::kImageMark)) return *id;
  const int64_t id = before->size();
  add_image_token(model.beside, id);
  model.notes.push_back(fmt::format("the tokenizer has no <image>: it is added as token {}", id));
  if (ids_of_question(*open_tokenizer(model.beside), form) != ids_of_question(*before, form))
    model.notes.emplace_back("the text after an image begins with other tokens there than in the run's training");
  return id;
}

/// Whether the template that the files have for transformers is the run's. chat_template.jinja goes before others.
bool has_own_template(const TokenizerFiles& files, const data::PromptTemplate& form) {
  const auto is_own = [&](const std::string& jinja) {
    const auto known = data::recognise_chat_template(jinja);
    return known && known->form->name == form.name;
  };
  if (files.contains(kJinja)) return is_own(files.at(kJinja));
  if (!files.contains(kTokenizerConfig)) return false;
  const Json config = Json::parse(files.at(kTokenizerConfig));
  const Json* const jinja = config.find("chat_template");
  return jinja != nullptr && jinja->is_string() && is_own(jinja->as_string());
}

/// The files of tokenizer and processor, and the decoder's special tokens.
void set_tokens(LlavaModel& model, const LlavaRun& run) {
  LlavaHubConfig& hub = model.config;
  const data::PromptTemplate& form = data::prompt_template(run.config->template_name());
  model.beside = run.tokenizer_files;
  hub.image_token = find_image_token(model, form);
  const auto tokenizer = open_tokenizer(model.beside);
  hub.decoder.bos = tokenizer->bos();
  hub.decoder.pad = tokenizer->pad();
  hub.decoder.eos = answer_ends({*tokenizer, form, hub.llava.image_tokens()}).ids;
  if (model.beside.contains(kTokenizer))
    model.beside.emplace(kTokenizerConfig, tokenizer_config_json(*tokenizer));
  else if (!model.beside.contains("tokenizer.model"))
    model.notes.emplace_back("transformers does not read tokenizer.bin; to load the model there, give it a tokenizer");
  if (hub.names == nn::LlavaNames::idefics3 && form.name != "smolvlm")
    model.notes.emplace_back(
        "the processor of Idefics3 puts tokens around an image that the run's template does not have: transformers "
        "computes the same from the same ids, not from the same text");
  if (!has_own_template(model.beside, form)) model.beside[kJinja] = data::to_jinja(form);
  model.beside["processor_config.json"] = processor_json(hub.llava, hub.names);
}

/// The model of a run as a folder describes it.
LlavaModel to_llava_model(const LlavaRun& run) {
  LlavaModel model;
  model.source = run.checkpoint;
  LlavaHubConfig& hub = model.config;
  hub.llava = run.config->llava();
  hub.names = names_for(hub.llava);
  hub.image_size = run.config->data.img_size;
  hub.preprocessing = eval_preprocessing(run.config->data);
  if (hub.names == nn::LlavaNames::idefics3 && run.config->data.square != Square::stretch)
    model.notes.emplace_back("an image that is not square is stretched there; here only with data.square=stretch");
  else if (run.config->data.square == Square::crop)
    model.notes.emplace_back("where the margin of a crop is an odd number, it is one pixel beside ours there");
  set_tokens(model, run);
  nn::LlamaConfig& text = hub.llava.text;
  text.vocab_size = std::max(text.vocab_size, hub.image_token + 1);
  hub.decoder.model_type = text.qkv_bias ? "qwen2" : "llama";
  hub.decoder.llama = text;

  TensorMap weights = run.weights;
  for (const char* const table : {"language_model.embed_tokens.weight", "language_model.lm_head.weight"})
    if (const auto found = weights.find(table); found != weights.end())
      found->second = with_rows(found->second, text.vocab_size);
  model.llava = std::make_shared<nn::Llava>(nn::Scope().without_values(), hub.llava);
  nn::load_state(*model.llava, weights, run.checkpoint.string());
  model.llava->eval();
  return model;
}

// ---- adapters -------------------------------------------------------------------------------------------------------

/// Our names without those that end otherwise, and without the end.
std::vector<std::string> names_ending(const TensorMap& weights, std::string_view end) {
  std::vector<std::string> names;
  for (const auto& [name, value] : weights)
    if (name.ends_with(end)) names.push_back(name.substr(0, name.size() - end.size()));
  return names;
}

/// A run's adapter on its way into a folder.
struct AdapterWriter {
  const LlavaRun& run;
  nn::NamesOf which;
  bool whole = run.config->model.decoder.init.empty();  // the base is a model that sees, else its decoder
  nn::LlavaConfig llava = run.config->llava();
  nn::LlavaNames names = names_for(llava);
  PeftFolder peft = {};
  std::vector<std::string> notes = {};

  /// The module of one of our layers in the base.
  std::string module_of(const std::string& layer) const {
    const std::string weight = layer + std::string(kWeight);
    const std::string theirs =
        whole ? nn::llava_name(weight, names, which) : nn::hf_llama_name(weight.substr(kDecoder.size()));
    return theirs.substr(0, theirs.size() - kWeight.size());
  }

  void take_adapters() {
    for (const std::string& layer : names_ending(run.adapters, kLoraA))
      peft.adapt(module_of(layer), run.adapters.at(layer + ".lora_a"), run.adapters.at(layer + ".lora_b"));
  }

  /// The linear layers of the base, among which the adapted ones are named.
  void list_modules() {
    const TensorMap tower = without_prefix(run.weights, std::string(kTower));
    const nn::Layout& tower_layout = nn::tower_layout(llava.vision);
    for (const std::string& layer : names_ending(run.weights, kWeight)) {
      if (run.weights.at(layer + std::string(kWeight)).rank() != 2) continue;
      if (layer.starts_with(kDecoder)) peft.all.insert(module_of(layer));
      if (!layer.starts_with(kTower) || !whole) continue;
      const std::string ours = layer.substr(kTower.size()) + std::string(kWeight);
      for (const std::string& name : nn::names_in_layout(tower_layout, ours, tower))
        peft.all.insert(name.substr(0, name.rfind('.')));
    }
  }

  std::string tower_module() const {
    if (names == nn::LlavaNames::idefics3) return "model.vision_model";
    return which == nn::NamesOf::modules ? "model.vision_tower" : "vision_tower";
  }

  /// Keeps weights whole: those of the module of that name, or each of a module of its own.
  void save_whole(const TensorMap& ours, const std::string& module = "") {
    if (ours.empty()) return;
    if (!whole) {
      notes.push_back(
          fmt::format("{} is trained and left out: the base {} is a decoder alone; "
                      "vitrail convert without --adapter writes the whole model",
                      ours.begin()->first, peft.base));
      return;
    }
    for (const auto& [name, value] : nn::llava_to_hf(ours, names, which)) {
      peft.weights[name] = value.contiguous();
      peft.saved.insert(module.empty() ? name.substr(0, name.rfind('.')) : module);
    }
  }
};

/// The weights whose names begin so.
TensorMap weights_of(const TensorMap& weights, std::initializer_list<std::string_view> beginnings) {
  TensorMap result;
  for (const auto& weight : weights) {
    const auto begins = [&](std::string_view beginning) { return weight.first.starts_with(beginning); };
    if (std::any_of(beginnings.begin(), beginnings.end(), begins)) result.insert(weight);
  }
  return result;
}

}  // namespace

WrittenModel write_llava_run(const LlavaRun& run, const fs::path& folder) {
  LlavaModel model = to_llava_model(run);
  try {
    return {.files = write_llava(model, folder), .notes = std::move(model.notes)};
  } catch (const ConfigError& error) {
    fail<ConfigError>("convert", "{}: {}. {}", run.checkpoint.string(), error.what(), kWritable);
  }
}

WrittenModel write_llava_adapter(const LlavaRun& run, const fs::path& folder, nn::NamesOf which) {
  const LlavaConfig& c = *run.config;
  check<ConfigError>(c.lora.on(), "convert", "{} is no run with LoRA (lora.rank): it has no adapter",
                     run.checkpoint.string());
  AdapterWriter writer{.run = run, .which = which};
  PeftFolder& peft = writer.peft;
  peft.base = writer.whole ? c.init : c.model.decoder.init;
  peft.task_type = writer.whole ? "" : "CAUSAL_LM";
  peft.settings = c.lora;
  writer.take_adapters();
  writer.list_modules();
  if (c.trains(LlavaPart::projector))
    writer.save_whole(weights_of(run.weights, {"projector.", "patch_embed.", "row_end"}));
  if (c.trains(LlavaPart::tower) || !c.model.tower.init.empty())
    writer.save_whole(weights_of(run.weights, {kTower}), writer.tower_module());
  for (const auto& [name, value] : weights_of(run.weights, {kDecoder})) {
    if (!any_matches(c.lora.train, name.substr(kDecoder.size()))) continue;
    const std::string theirs =
        writer.whole ? nn::llava_name(name, writer.names, which) : nn::hf_llama_name(name.substr(kDecoder.size()));
    peft.weights[theirs] = value.contiguous();
    peft.saved.insert(theirs.substr(0, theirs.rfind('.')));
  }
  WrittenModel written{.files = peft.write(folder), .notes = std::move(writer.notes)};
  written.notes.push_back(fmt::format("rank {} on {} layers of {}", c.lora.rank, run.adapters.size() / 2, peft.base));
  if (!fs::exists(fs::path(peft.base) / "config.json"))
    written.notes.push_back(
        fmt::format("PEFT needs {} as a folder of Hugging Face: vitrail convert {} -o FOLDER, and "
                    "FOLDER as base_model_name_or_path in adapter_config.json",
                    peft.base, peft.base));
  return written;
}

}  // namespace vitrail::recipes
