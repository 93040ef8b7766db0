#include "vitrail/recipes/run/recipe_files.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/config/suggest.h"

#include <algorithm>
#include <fstream>

namespace vitrail::recipes {
namespace {

namespace fs = std::filesystem;

/// Empty if there is no such folder.
fs::path bundled_folder() {
  std::error_code unknown;
  const fs::path program = fs::read_symlink("/proc/self/exe", unknown).parent_path();
  for (const char* place : {"../share/vitrail/recipes", "../../../recipes"})
    if (fs::path folder = (program / place).lexically_normal(); fs::exists(folder / "vit_digits.yaml")) return folder;
  return {};
}

std::string title_of(const fs::path& recipe) {
  std::ifstream in(recipe);
  std::string line;
  std::getline(in, line);
  return line.starts_with("# ") ? line.substr(2) : "";
}

}  // namespace

std::vector<RecipeFile> bundled_recipes() {
  std::vector<RecipeFile> recipes;
  const fs::path folder = bundled_folder();
  if (folder.empty()) return recipes;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".yaml")
      recipes.push_back({entry.path().stem().string(), entry.path(), title_of(entry.path())});
  std::sort(recipes.begin(), recipes.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return recipes;
}

fs::path find_recipe(const fs::path& recipe) {
  if (fs::exists(recipe)) return recipe;
  const fs::path name = recipe.extension() == ".yaml" ? recipe.stem() : recipe.filename();
  std::vector<std::string> names;
  for (const RecipeFile& bundled : bundled_recipes()) {
    if (bundled.name == name && !recipe.has_parent_path()) return bundled.path;
    check<ConfigError>(bundled.name != name, "config", "{}: no such file; the recipe that comes with Vitrail is '{}'",
                       recipe.string(), bundled.name);
    names.push_back(bundled.name);
  }
  if (recipe.has_parent_path()) return recipe;
  fail<ConfigError>("config",
                    "{}: no such file, and no recipe of this name comes with Vitrail{}; train --list shows them",
                    recipe.string(), did_you_mean(name.string(), names));
}

fs::path bundled_asset(const std::string& name) {
  const fs::path folder = bundled_folder();
  fs::path asset = folder / "assets" / name;
  check<ConfigError>(!folder.empty() && fs::exists(asset), "assets",
                     "the data '{}' of Vitrail is not beside the program", name);
  return asset;
}

}  // namespace vitrail::recipes
