#include "vitrail/recipes/methods/llava_folder.h"

#include "vitrail/core/error.h"
#include "vitrail/nn/weights/llama_names.h"
#include "vitrail/nn/weights/llava_names.h"
#include "vitrail/recipes/build/freeze.h"
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
                      "the run has the whole model",
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
  for (const auto& [name, value] : weights)
    if (std::any_of(beginnings.begin(), beginnings.end(), [&](auto beginning) { return name.starts_with(beginning); }))
      result.emplace(name, value);
  return result;
}

}  // namespace

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
