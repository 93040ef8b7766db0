#include "vitrail/recipes/models/open_run.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/run/checkpoint.h"
#include "vitrail/recipes/run/recipe_files.h"
#include "vitrail/recipes/run/registry.h"

namespace vitrail::recipes {
namespace {

namespace fs = std::filesystem;

fs::path checkpoint_at(const fs::path& path) {
  check<ConfigError>(fs::exists(path), "checkpoint", "{}: no such file or folder", path.string());
  if (!fs::is_directory(path)) return path;
  for (const char* name : {"checkpoints/best.h5", "checkpoints/last.h5"})
    if (fs::exists(path / name)) return path / name;
  fail<ConfigError>("checkpoint",
                    "{} is not the folder of a run: no checkpoints/best.h5 or last.h5; nor of a published model: no "
                    ".safetensors file",
                    path.string());
}

}  // namespace

std::unique_ptr<RecipeConfig> read_settings(const fs::path& recipe, const std::vector<std::string>& changes) {
  const fs::path file = find_recipe(recipe);
  auto settings = method_config(recipe_name(file));
  Config config(*settings);
  config.read(file, changes);
  settings->settle(config);
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
  run.classes = checkpoint.classes;
  return run;
}

}  // namespace vitrail::recipes
