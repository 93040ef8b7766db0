#include "recipes/recipe.h"

#include "core/error.h"

#include <cmath>

namespace vitrail::recipes {

void check_finite(std::string_view name, double value, const At& at) {
  check<NumericError>(std::isfinite(value), "train", "{} is {} at step {} (epoch {}, lr {})", name, value, at.step + 1,
                      at.epoch + 1, at.lr);
}

TensorMap sub_map(const TensorMap& map, std::string_view prefix) {
  const std::string start = std::string(prefix) + "/";
  TensorMap result;
  for (auto it = map.lower_bound(start); it != map.end() && it->first.starts_with(start); ++it)
    result.emplace(it->first.substr(start.size()), it->second);
  return result;
}

void add_map(TensorMap& map, std::string_view prefix, const TensorMap& entries) {
  for (const auto& [name, tensor] : entries) map.insert_or_assign(std::string(prefix) + "/" + name, tensor);
}

}  // namespace vitrail::recipes
