// Recipes and checkpoints, opened by programs that do not train.
#pragma once

#include "vitrail/core/tensor_map.h"
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
  std::vector<std::string> classes;        // Recipe::classes; empty in checkpoints of version 0.1.0
};
/// path: a checkpoint, or the folder of a run, where best.h5 is taken, or last.h5 if there is no best.h5.
/// Throws: ConfigError if path is neither, or for changes that do not fit; IoError for a damaged checkpoint.
OpenedRun open_run(const std::filesystem::path& path, const std::vector<std::string>& changes = {});

}  // namespace vitrail::recipes
