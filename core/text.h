// Lists of names in messages.
#pragma once

#include <cstddef>
#include <string>

namespace vitrail {

/// "a, b, c": name(item) of each item, or the items themselves. With more than `most`: "a, b, and 7 more".
template <class Items, class Name>
std::string joined(const Items& items, Name&& name, size_t most = size_t(-1)) {
  std::string text;
  size_t count = 0;
  for (const auto& item : items) {
    if (count++ >= most) continue;
    if (!text.empty()) text += ", ";
    text += name(item);
  }
  return count > most ? text + ", and " + std::to_string(count - most) + " more" : text;
}
template <class Items>
std::string joined(const Items& items) {
  return joined(items, [](const auto& item) { return std::string(item); });
}

}  // namespace vitrail
