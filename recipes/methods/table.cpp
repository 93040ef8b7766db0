// The methods. Adding one is a line here.
#include "vitrail/core/error.h"
#include "vitrail/recipes/config/fields.h"
#include "vitrail/recipes/config/suggest.h"
#include "vitrail/recipes/methods/clip.h"
#include "vitrail/recipes/methods/dino.h"
#include "vitrail/recipes/methods/supervised.h"
#include "vitrail/recipes/run/recipe.h"

namespace vitrail::recipes {
namespace {

template <class T>
std::unique_ptr<RecipeConfig> make() {
  return std::make_unique<T>();
}

struct Method {
  const char* name;
  std::unique_ptr<RecipeConfig> (*config)();
};
constexpr Method kMethods[] = {
    {"supervised", make<SupervisedConfig>},
    {"dino", make<DinoConfig>},
    {"clip", make<ClipConfig>},
};

}  // namespace

void RecipeConfig::describe(Fields& f) {
  f("recipe", recipe, "the method", one_of(methods()));
  f("name", name, "what the run is called; empty: as the recipe file");
  f("out", out, "folder of the run; empty: runs/<name>-<date>-<n>");
  f("seed", seed, "of all random numbers", at_least(0));
  f("precision", precision, "of matrix products: f32 or bf16", one_of({"f32", "bf16"}));
}

std::vector<std::string> methods() {
  std::vector<std::string> names;
  for (const Method& method : kMethods) names.emplace_back(method.name);
  return names;
}

std::unique_ptr<RecipeConfig> method_config(std::string_view name) {
  for (const Method& method : kMethods) {
    if (method.name != name) continue;
    auto config = method.config();
    config->recipe = name;
    return config;
  }
  std::string known;
  for (const Method& method : kMethods) known += (known.empty() ? "" : ", ") + std::string(method.name);
  fail<ConfigError>("recipe", "unknown method '{}'{}; known are {}", name, did_you_mean(name, methods()), known);
}

}  // namespace vitrail::recipes
