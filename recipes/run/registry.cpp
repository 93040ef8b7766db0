#include "vitrail/recipes/run/registry.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/config/suggest.h"

#include <utility>

namespace vitrail::recipes {
namespace {

std::vector<Method>& registered() {
  static std::vector<Method> methods;
  return methods;
}

const Method* find(std::string_view name) {
  for (const std::span<const Method> list : {built_in_methods(), std::span<const Method>(registered())})
    for (const Method& method : list)
      if (method.name == name) return &method;
  return nullptr;
}

}  // namespace

void register_method(std::string_view name, MakeConfig config) {
  check<ConfigError>(!find(name), "register_method", "there is a method '{}' already", name);
  registered().push_back({std::string(name), std::move(config)});
}

std::vector<std::string> methods() {
  std::vector<std::string> names;
  for (const Method& method : built_in_methods()) names.push_back(method.name);
  for (const Method& method : registered()) names.push_back(method.name);
  return names;
}

std::unique_ptr<RecipeConfig> method_config(std::string_view name) {
  const Method* method = find(name);
  if (!method) {
    const std::vector<std::string> known = methods();
    std::string list;
    for (const std::string& other : known) list += (list.empty() ? "" : ", ") + other;
    fail<ConfigError>("recipe", "unknown method '{}'{}; known are {}", name, did_you_mean(name, known), list);
  }
  auto config = method->config();
  config->recipe = name;
  return config;
}

}  // namespace vitrail::recipes
