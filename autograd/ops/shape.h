// Differentiable operations that move elements. Views share elements. reshape, flatten, squeeze and unsqueeze are views
// of a dense x and copy a strided one; concat, stack, flip, roll and pad copy.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/shape.h"

#include <initializer_list>
#include <vector>

namespace vitrail::ag {

/// One size may be -1.
Var reshape(const Var& x, std::initializer_list<int64_t> sizes);
Var reshape(const Var& x, const Shape& shape);
/// Shapes and errors as in core/ops/shape.h and Tensor. The results of views share elements with x.
Var flatten(const Var& x, int first = 0, int last = -1);
Var squeeze(const Var& x, int axis);
Var unsqueeze(const Var& x, int axis);
Var transpose(const Var& x, int a, int b);
Var permute(const Var& x, const std::vector<int>& axes);
Var slice(const Var& x, int axis, int64_t begin, int64_t end);
Var select(const Var& x, int axis, int64_t index);
Var expand(const Var& x, const Shape& shape);
Var concat(const std::vector<Var>& parts, int axis);
Var stack(const std::vector<Var>& parts, int axis = 0);
std::vector<Var> split(const Var& x, int64_t size, int axis = 0);
std::vector<Var> split(const Var& x, const std::vector<int64_t>& sizes, int axis = 0);
std::vector<Var> chunk(const Var& x, int64_t count, int axis = 0);
Var flip(const Var& x, const Axes& axes);
Var roll(const Var& x, int64_t shift, int axis);
Var roll(const Var& x, const std::vector<int64_t>& shifts, const std::vector<int>& axes);
Var pad(const Var& x, const std::vector<int64_t>& pads, double value = 0);

}  // namespace vitrail::ag
