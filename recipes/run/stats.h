// Named numbers in a fixed order: what a step or an evaluation reports, and what every log shows.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vitrail::recipes {

using Stats = std::vector<std::pair<std::string, double>>;

/// The number of that name, or otherwise if there is none.
inline double stat(const Stats& stats, std::string_view name, double otherwise = 0) {
  for (const auto& [key, value] : stats)
    if (key == name) return value;
  return otherwise;
}

/// The shortest text that reads back as value, whole numbers without a point or exponent: equal values are equal bytes
/// in any locale. "null" if it is not finite, which JSON cannot say.
std::string json_number(double value);

}  // namespace vitrail::recipes
