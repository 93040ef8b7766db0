// Named numbers in a fixed order: the report of a step or an evaluation, and a row of every log.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vitrail::recipes {

using Stats = std::vector<std::pair<std::string, double>>;

/// Called after each batch of an evaluation. Throws to end the evaluation early, when the user asks to stop.
using Tick = std::function<void(int64_t done, int64_t total)>;

/// The number with that name, or `otherwise` if there is none.
inline double stat(const Stats& stats, std::string_view name, double otherwise = 0) {
  for (const auto& [key, value] : stats)
    if (key == name) return value;
  return otherwise;
}

/// The shortest text that reads back as value. Whole numbers have no point and no exponent. The text is the same in any
/// locale, so equal values are equal bytes. A value that is not finite becomes "null": JSON has no such number.
std::string json_number(double value);

}  // namespace vitrail::recipes
