#include "vitrail/recipes/run/recipe.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/build/build_data.h"

#include <cmath>

namespace vitrail::recipes {

Preview RecipeConfig::preview(int64_t count) const { return recipes::preview(sections().data, seed, count); }

void check_finite(std::string_view name, double value, const At& at) {
  check<NumericError>(std::isfinite(value), "train", "{} is {} at step {} (epoch {}, lr {})", name, value, at.step + 1,
                      at.epoch + 1, at.lr);
}

TensorMap without_prefix(const TensorMap& map, std::string_view prefix) {
  TensorMap result;
  for (auto it = map.lower_bound(prefix); it != map.end() && it->first.starts_with(prefix); ++it)
    result.emplace(it->first.substr(prefix.size()), it->second);
  return result;
}

TensorMap sub_map(const TensorMap& map, std::string_view prefix) {
  return without_prefix(map, std::string(prefix) + "/");
}

void add_map(TensorMap& map, std::string_view prefix, const TensorMap& entries) {
  for (const auto& [name, tensor] : entries) map.insert_or_assign(std::string(prefix) + "/" + name, tensor);
}

}  // namespace vitrail::recipes
