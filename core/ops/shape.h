// Operations that move elements and compute nothing. They take any element type. Tensor itself has the views: reshape,
// transpose, permute, slice, select, squeeze, unsqueeze, expand.
#pragma once

#include "vitrail/core/tensor.h"

#include <vector>

namespace vitrail::core {

/// Joins tensors along an axis that they have. The other axes agree.
Tensor concat(const std::vector<Tensor>& parts, int axis);
/// Joins tensors of one shape along a new axis before `axis`. n of [A, B] at axis 0 -> [n, A, B].
Tensor stack(const std::vector<Tensor>& parts, int axis = 0);
/// Pieces of `size` along axis, as views; the last one may be smaller.
std::vector<Tensor> split(const Tensor& x, int64_t size, int axis = 0);
/// Pieces of the given sizes, which sum to the axis.
std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int axis = 0);
/// At most `count` pieces of equal size, ceil(n / count), as PyTorch cuts them; the last one may be smaller.
std::vector<Tensor> chunk(const Tensor& x, int64_t count, int axis = 0);
/// Merges axes first..last into one. Copies if the strides require it.
Tensor flatten(const Tensor& x, int first = 0, int last = -1);
/// Reverses the order along axes. Copies.
Tensor flip(const Tensor& x, const Axes& axes);
/// Moves element i along axis to (i + shift) mod n. Copies.
Tensor roll(const Tensor& x, int64_t shift, int axis);
/// As roll(x, shifts[k], axes[k]) for each k.
Tensor roll(const Tensor& x, const std::vector<int64_t>& shifts, const std::vector<int>& axes);
/// Adds elements of `value` around x. pads as in PyTorch: two counts an axis, before and after, the last axis first:
/// {left, right, top, bottom, ...}. Throws ShapeError for a negative count.
Tensor pad(const Tensor& x, const std::vector<int64_t>& pads, double value = 0);
/// The part of y = pad(x, pads) that holds x, as a view.
Tensor unpad(const Tensor& y, const std::vector<int64_t>& pads);

/// The sizes that split() and chunk() cut n elements into, and the shape that flatten() gives.
std::vector<int64_t> split_sizes(int64_t n, int64_t size);
std::vector<int64_t> chunk_sizes(int64_t n, int64_t count);
Shape flat_shape(const Shape& shape, int first, int last);

}  // namespace vitrail::core
