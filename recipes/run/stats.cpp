#include "vitrail/recipes/run/stats.h"

#include <charconv>
#include <cmath>
#include <cstdint>

namespace vitrail::recipes {

std::string json_number(double value) {
  if (!std::isfinite(value)) return "null";
  if (value == std::trunc(value) && std::abs(value) < 9007199254740992.0) return std::to_string(int64_t(value));
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace vitrail::recipes
