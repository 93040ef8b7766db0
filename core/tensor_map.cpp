#include "vitrail/core/tensor_map.h"

namespace vitrail {

TensorMap without_prefix(const TensorMap& map, std::string_view prefix) {
  TensorMap result;
  for (auto it = map.lower_bound(prefix); it != map.end() && it->first.starts_with(prefix); ++it)
    result.emplace(it->first.substr(prefix.size()), it->second);
  return result;
}

TensorMap sub_map(const TensorMap& map, std::string_view name) { return without_prefix(map, std::string(name) + "/"); }

void add_map(TensorMap& map, std::string_view name, const TensorMap& entries) {
  for (const auto& [key, tensor] : entries) map.insert_or_assign(std::string(name) + "/" + key, tensor);
}

}  // namespace vitrail
