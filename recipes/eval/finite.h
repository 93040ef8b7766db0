// Guards results against NaN and infinity before anybody writes, ranks or scores them.
#pragma once

#include "vitrail/core/tensor.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace vitrail::recipes {

/// Throws NumericError "[op] name(i): ..." for the first row i of `rows` [N, ...] that has a NaN or an infinity.
void expect_finite(const Tensor& rows, std::string_view op, const std::function<std::string(int64_t)>& name);

}  // namespace vitrail::recipes
