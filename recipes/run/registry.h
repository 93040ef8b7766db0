// The training methods by name: those of the library, and those that a program registers.
#pragma once

#include "vitrail/recipes/run/recipe.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

using MakeConfig = std::function<std::unique_ptr<RecipeConfig>()>;

struct Method {
  std::string name;
  MakeConfig config;
};

/// The methods of the library, listed in methods/table.cpp.
std::span<const Method> built_in_methods();

/// Adds a method, so that a recipe file may say `recipe: NAME`. A program calls it before it reads recipes:
///   register_method("mae", [] { return std::make_unique<MaeConfig>(); });
/// Thread: main thread only. Throws ConfigError if the name is taken.
void register_method(std::string_view name, MakeConfig config);

/// The names of all methods, the library's first.
std::vector<std::string> methods();
/// The defaults of a method. Throws ConfigError with the known names for an unknown one.
std::unique_ptr<RecipeConfig> method_config(std::string_view name);

}  // namespace vitrail::recipes
