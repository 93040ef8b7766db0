// Recipes and checkpoints for programs that use models rather than train them.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/nn/backbone.h"
#include "vitrail/nn/weights/layout.h"
#include "vitrail/recipes/run/recipe.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::recipes {

/// A recipe file with each of changes (key=value) applied. Throws ConfigError or IoError as Config.
std::unique_ptr<RecipeConfig> read_settings(const std::filesystem::path& recipe,
                                            const std::vector<std::string>& changes = {});

/// A checkpoint of a run.
struct OpenedRun {
  std::filesystem::path checkpoint;
  std::unique_ptr<RecipeConfig> settings;  // the run's recipe, changed
  TensorMap state;                         // Recipe::state
};
/// path: a checkpoint, or the folder of a run, of which best.h5 is taken, or last.h5 if there is no best.h5.
/// Throws: ConfigError if path is neither, or for changes that do not fit; IoError for a damaged checkpoint.
OpenedRun open_run(const std::filesystem::path& path, const std::vector<std::string>& changes = {});

/// A model as a run left it, or as it was published.
struct TrainedModel {
  std::filesystem::path checkpoint;
  std::unique_ptr<RecipeConfig> settings;  // the run's recipe or PublishedSettings, changed
  std::unique_ptr<nn::Backbone> model;     // in evaluation mode
  bool averaged = false;                   // the weights are the run's moving averages
};

/// path: as for open_run, or a published model, see read_published_model. The averaged weights are taken where a run
/// kept them, of a CLIP the image tower.
/// Throws as open_run and read_published_model; IoError for a checkpoint that holds other weights than its recipe says.
TrainedModel load_trained_model(const std::filesystem::path& path, const std::vector<std::string>& changes = {});
TrainedModel to_model(OpenedRun run);

/// Weights to start from.
struct StartWeights {
  TensorMap tensors;                   // under our names
  const nn::Layout* layout = nullptr;  // of the file; null: a checkpoint of ours, or names of no layout
  std::vector<std::string> notes;      // what was left out
};
/// Those of a safetensors file (or the index of its shards), or of the folder of a published model, in any layout that
/// find_layout knows; or those that load_trained_model would take.
/// Throws: ConfigError or IoError as published_weights, safetensors::Reader, from_layout and load_trained_model do.
StartWeights read_weights(const std::filesystem::path& path);

/// The table of a model's layers and its cost for one image of that side.
ModelCard model_card(nn::Backbone& model, int64_t img_size);

}  // namespace vitrail::recipes
