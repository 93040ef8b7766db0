// Differentiable operations that move elements. Views share elements; a copy is said to be one.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/shape.h"

#include <initializer_list>
#include <vector>

namespace vitrail::ag {

// Views share elements; reshape copies a tensor that is not dense.
Var reshape(const Var& x, std::initializer_list<int64_t> sizes);
Var transpose(const Var& x, int a, int b);
Var permute(const Var& x, const std::vector<int>& axes);
Var slice(const Var& x, int axis, int64_t begin, int64_t end);
Var select(const Var& x, int axis, int64_t index);
Var expand(const Var& x, const Shape& shape);
Var concat(const std::vector<Var>& parts, int axis);

}  // namespace vitrail::ag
