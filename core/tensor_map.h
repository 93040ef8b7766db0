// Named tensors in name order: a module's weights, an optimizer's moments, a file's contents. Numbers are rank-0
// tensors; names nest with '/' ("model/blocks.0.attn.qkv.weight").
#pragma once

#include "vitrail/core/tensor.h"

#include <map>
#include <string>
#include <string_view>

namespace vitrail {

using TensorMap = std::map<std::string, Tensor, std::less<>>;

/// The entries whose names begin with prefix; the result's names lack the prefix.
TensorMap without_prefix(const TensorMap& map, std::string_view prefix);
/// The entries whose names begin with "name/"; the result's names lack it.
TensorMap sub_map(const TensorMap& map, std::string_view name);
/// The inverse: puts entries into map under "name/...".
void add_map(TensorMap& map, std::string_view name, const TensorMap& entries);

}  // namespace vitrail
