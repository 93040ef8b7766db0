// How tests compare tensors: by the error measure of the reference files, and by plain distance.
#pragma once

#include "tools/reference/error_measure.h"
#include "vitrail/core/tensor.h"

#include <doctest/doctest.h>

#include <string>

namespace vitrail {

inline doctest::String toString(const Tensor& t) { return to_string(t).c_str(); }
inline doctest::String toString(const Shape& s) { return to_string(s).c_str(); }
inline doctest::String toString(DType d) { return to_string(d).c_str(); }

namespace test {

using reference::max_difference;
using reference::relative_error;

}  // namespace test
}  // namespace vitrail
