#include "vitrail/recipes/methods/adaptation.h"

#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/config/derived_values.h"
#include "vitrail/recipes/models/open_run.h"
#include "vitrail/recipes/models/peft_adapter.h"
#include "vitrail/recipes/models/published_model.h"
#include "vitrail/recipes/models/start_architecture.h"
#include "vitrail/recipes/models/start_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

namespace vitrail::recipes {
namespace {

constexpr double kLrFactor = 0.1, kLayerDecay = 0.8, kTeacherMomentum = 0.9995;

/// The keys that decide the shapes of the heads, or their beginnings.
bool shapes_heads(std::string_view key) {
  return key.starts_with("head.") || key == "ibot.separate_head" || key == "ibot.out_dim" ||
         key == "ibot.bottleneck_dim";
}

/// The weights of a run's teacher, without its backbone.
TensorMap heads_of(const TensorMap& state) {
  TensorMap heads;
  for (auto& [name, value] : sub_map(state, "teacher"))
    if (!name.starts_with("backbone.")) heads.emplace(name, value);
  return heads;
}

}  // namespace

std::vector<std::string> settle_adaptation(Config& config, const std::string& init) {
  if (init.empty()) return settle_architecture(config, init);
  const std::string origin = "start from " + init;
  DerivedValues defaults(config, "init", origin);
  if (defaults.may_set("model.arch")) config.set("model.arch=from_init", origin);
  std::vector<std::string> notes = settle_architecture(config, init);

  std::optional<OpenedRun> run;
  if (!published_weights(init)) run.emplace(open_run(init));
  bool heads_come = run && to_yaml(*config.find("recipe")) == run->settings->recipe;
  if (heads_come) {
    Fields theirs;
    run->settings->describe(theirs);
    for (const Field& field : theirs.list()) {
      if (!shapes_heads(field.key)) continue;
      defaults.set(field.key, to_yaml(field));
      heads_come &= to_yaml(*config.find(field.key)) == to_yaml(field);
    }
  }
  const bool vit = !defaults.value<std::string>("model.arch").starts_with("resnet");
  if (defaults.value<bool>("adapt.defaults")) {
    const auto epochs = defaults.value<int64_t>("train.epochs");
    const int64_t head_epochs = heads_come || epochs < 2 ? 0 : std::max<int64_t>(1, epochs / 10);
    defaults.set("adapt.head_epochs", std::to_string(head_epochs));
    defaults.set("optim.lr", fmt::format("{}", kLrFactor * defaults.value<double>("optim.lr")));
    if (vit) defaults.set("optim.layer_decay", fmt::format("{}", kLayerDecay));
    if (defaults.value<double>("teacher.momentum") < kTeacherMomentum)
      defaults.set("teacher.momentum", fmt::format("{}", kTeacherMomentum));
  }
  if (const auto patch = *std::get<std::optional<int64_t>*>(config.find("model.patch_size")->slot); vit && patch) {
    const double patches = double(defaults.value<int64_t>("crops.local_size")) / double(*patch);
    defaults.set("crops.local_size", std::to_string(std::max<int64_t>(1, std::llround(patches)) * *patch));
  }
  if (!defaults.text().empty())
    notes.push_back(fmt::format("[init] adapts {}: {}; a key on the command line goes before", init, defaults.text()));
  return notes;
}

AdaptationStart start_student(const SelfDistillationConfig& config, nn::ModuleBase& student, nn::Backbone& backbone) {
  StartWeights weights = without_texts(read_weights(config.init, config.accept_keys));
  const auto alone = student_maker(config)(nn::Scope(uint64_t(config.seed)));
  AdaptationStart start{.notes = load_start(*alone, std::move(weights), config.init, eval_preprocessing(config.data))};
  if (!config.lora.init.empty()) load_adapter(*alone, config.lora.init, config.accept_keys, start.notes);
  nn::copy_state(backbone, *alone);
  if (!published_weights(config.init)) {
    OpenedRun run = open_run(config.init);
    const TensorMap theirs = heads_of(run.state);
    TensorMap mine;
    for (const auto& [name, value] : nn::state(student))
      if (!name.starts_with("backbone.")) mine.emplace(name, value);
    if (run.settings->recipe == config.recipe && nn::compare(mine, theirs).ok()) {
      nn::load_state(student, theirs, config.init, nn::Strict::no);
      start.run = std::move(run.state);
    }
  }
  start.notes.push_back(
      "[init] " + config.init +
      (start.run.empty() ? ": the heads start anew" : ": the heads and centres of the run come along"));
  return start;
}

}  // namespace vitrail::recipes
