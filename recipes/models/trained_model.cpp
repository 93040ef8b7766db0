#include "vitrail/recipes/models/trained_model.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/summary.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/models/published_model.h"
#include "vitrail/recipes/models/published_settings.h"
#include "vitrail/recipes/run/checkpoint.h"
#include "vitrail/recipes/run/registry.h"

namespace vitrail::recipes {
namespace {

namespace fs = std::filesystem;

fs::path checkpoint_at(const fs::path& path) {
  check<ConfigError>(fs::exists(path), "checkpoint", "{}: no such file or folder", path.string());
  if (!fs::is_directory(path)) return path;
  for (const char* name : {"checkpoints/best.h5", "checkpoints/last.h5"})
    if (fs::exists(path / name)) return path / name;
  fail<ConfigError>("checkpoint", "{} is not the folder of a run: no checkpoints/best.h5 or last.h5", path.string());
}

/// How many outputs the classifier has: that of a vision transformer is named head, that of a ResNet fc. 0: there is
/// none.
int64_t classes_of(const TensorMap& weights) {
  for (const char* name : {"head.weight", "fc.weight"})
    if (const auto found = weights.find(name); found != weights.end()) return found->second.size(0);
  return 0;
}

struct Weights {
  TensorMap map;
  bool averaged = false;
};

/// The best of the models that the method keeps in its state.
Weights weights_of(const OpenedRun& run) {
  for (const auto& [prefix, averaged] : run.settings->sections().weights)
    if (TensorMap map = without_prefix(run.state, prefix); !map.empty()) return {std::move(map), averaged};
  fail<IoError>("checkpoint", "{} holds no model", run.checkpoint.string());
}

TrainedModel of_published(const fs::path& path, const std::vector<std::string>& changes) {
  const PublishedModel published = read_published_model(path);
  TrainedModel trained;
  trained.checkpoint = published.source;
  trained.settings = std::make_unique<PublishedSettings>(published);
  Config config(*trained.settings);
  for (const std::string& change : changes) config.set(change);
  trained.model = build_vision(published);
  return trained;
}

}  // namespace

std::unique_ptr<RecipeConfig> read_settings(const fs::path& recipe, const std::vector<std::string>& changes) {
  auto settings = method_config(recipe_name(recipe));
  Config config(*settings);
  config.read(recipe, changes);
  return settings;
}

OpenedRun open_run(const fs::path& path, const std::vector<std::string>& changes) {
  OpenedRun run;
  run.checkpoint = checkpoint_at(path);
  const Checkpoint checkpoint = load_checkpoint(run.checkpoint);
  run.settings = method_config(recipe_name(checkpoint.recipe, run.checkpoint.string()));
  Config config(*run.settings);
  config.read_text(checkpoint.recipe, run.checkpoint.string(), changes);
  run.state = sub_map(checkpoint.tensors, "recipe");
  return run;
}

StartWeights read_weights(const fs::path& path) {
  if (const auto published = published_weights(path)) {
    const safetensors::Reader reader(*published);
    const nn::Layout* layout = nn::find_layout(reader.names());
    if (!layout) return {reader.read_all(), nullptr, {}};
    nn::Converted converted = nn::from_layout(*layout, reader.read_all());
    return {std::move(converted.weights), layout, std::move(converted.notes)};
  }
  return {weights_of(open_run(path)).map, nullptr, {}};
}

TrainedModel load_trained_model(const fs::path& path, const std::vector<std::string>& changes) {
  return published_weights(path) ? of_published(path, changes) : to_model(open_run(path, changes));
}

TrainedModel to_model(OpenedRun run) {
  const auto [weights, averaged] = weights_of(run);
  TrainedModel trained;
  trained.checkpoint = run.checkpoint;
  trained.settings = std::move(run.settings);
  trained.averaged = averaged;
  trained.model = trained.settings->build_backbone(nn::Scope().without_values(), classes_of(weights));
  nn::load_state(*trained.model, weights, trained.checkpoint.string());
  trained.model->eval();
  return trained;
}

ModelCard model_card(nn::Backbone& model, int64_t img_size) {
  model.eval();
  const auto rows = nn::summarize([&] {
    nn::SummaryEntry whole(model);
    whole.finish(model.logits(zeros({1, 3, img_size, img_size}), nn::Compute::all).shape());
  });
  return {.name = {},
          .table = nn::to_table(rows, 2),
          .parameters = model.parameter_count(),
          .flops = 2 * rows.front().macs};
}

}  // namespace vitrail::recipes
