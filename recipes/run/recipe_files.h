// The recipe files that come with Vitrail, found by name from any folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace vitrail::recipes {

struct RecipeFile {
  std::string name;  // "vit_digits"
  std::filesystem::path path;
  std::string title;  // the first line of its head
};

/// The recipes beside the running program: installed in share/vitrail/recipes, or in the sources that it was built
/// from. Sorted by name; empty if there are none.
std::vector<RecipeFile> bundled_recipes();

/// The file of a recipe: the path itself if it exists; otherwise the bundled recipe of this name, with or without its
/// ending. Throws ConfigError with the nearest name if there is neither.
std::filesystem::path find_recipe(const std::filesystem::path& recipe);

/// The data of this name that comes with Vitrail: "emoji_cutouts". Throws ConfigError if it is not there.
std::filesystem::path bundled_asset(const std::string& name);

}  // namespace vitrail::recipes
