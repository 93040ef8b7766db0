// Named tensors in name order: a module's weights, an optimizer's moments, a file's contents. Numbers are rank-0
// tensors; names nest with '/' ("model/blocks.0.attn.qkv.weight").
#pragma once

#include "vitrail/core/tensor.h"

#include <map>
#include <string>

namespace vitrail {

using TensorMap = std::map<std::string, Tensor, std::less<>>;

}  // namespace vitrail
