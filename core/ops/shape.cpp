#include "vitrail/core/ops/shape.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops/indexing.h"

#include <algorithm>
#include <numeric>

namespace vitrail::core {
namespace {

/// Copies the elements [from, from + n) of x along axis to [to, to + n) of y.
void copy_range(const Tensor& x, int axis, int64_t from, Tensor& y, int64_t to, int64_t n) {
  y.slice(axis, to, to + n).copy_(x.slice(axis, from, from + n));
}

}  // namespace

Tensor concat(const std::vector<Tensor>& parts, int axis) {
  check<ShapeError>(!parts.empty(), "concat", "needs at least one part");
  const Shape& first = parts[0].shape();
  const int along = first.normalize_axis(axis);
  int64_t total = 0;
  for (const Tensor& part : parts) {
    check<ShapeError>(part.rank() == first.rank() && part.shape().with(along, 0) == first.with(along, 0), "concat",
                      "{} does not fit {} beside axis {}", part.shape(), first, axis);
    check<ShapeError>(part.dtype() == parts[0].dtype(), "concat", "parts are {} and {}", parts[0].dtype(),
                      part.dtype());
    total += part.size(along);
  }
  Tensor y = Tensor::empty(first.with(along, total), parts[0].dtype());
  int64_t at = 0;
  for (const Tensor& part : parts) {
    copy_range(part, along, 0, y, at, part.size(along));
    at += part.size(along);
  }
  return y;
}

Tensor stack(const std::vector<Tensor>& parts, int axis) {
  check<ShapeError>(!parts.empty(), "stack", "needs at least one part");
  std::vector<Tensor> rows;
  for (const Tensor& part : parts) {
    check<ShapeError>(part.shape() == parts[0].shape(), "stack", "parts are {} and {}", parts[0].shape(), part.shape());
    rows.push_back(part.unsqueeze(axis));
  }
  return concat(rows, axis < 0 ? axis + rows[0].rank() : axis);
}

std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int axis) {
  const int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  check<ShapeError>(total == x.size(axis), "split", "the sizes add up to {}, axis {} of {} has {}", total, axis,
                    x.shape(), x.size(axis));
  std::vector<Tensor> parts;
  int64_t at = 0;
  for (int64_t size : sizes) {
    parts.push_back(x.slice(axis, at, at + size));
    at += size;
  }
  return parts;
}

std::vector<Tensor> split(const Tensor& x, int64_t size, int axis) {
  return split(x, split_sizes(x.size(axis), size), axis);
}

std::vector<Tensor> chunk(const Tensor& x, int64_t count, int axis) {
  return split(x, chunk_sizes(x.size(axis), count), axis);
}

std::vector<int64_t> split_sizes(int64_t n, int64_t size) {
  check<ShapeError>(size > 0, "split", "size is {}, it must be positive", size);
  std::vector<int64_t> sizes;
  for (int64_t at = 0; at < n; at += size) sizes.push_back(std::min(size, n - at));
  if (sizes.empty()) sizes.push_back(0);
  return sizes;
}

std::vector<int64_t> chunk_sizes(int64_t n, int64_t count) {
  check<ShapeError>(count > 0, "chunk", "count is {}, it must be positive", count);
  return split_sizes(n, std::max<int64_t>((n + count - 1) / count, 1));
}

Shape flat_shape(const Shape& shape, int first, int last) {
  if (shape.rank() == 0) return {1};
  const int begin = shape.normalize_axis(first), end = shape.normalize_axis(last);
  check<ShapeError>(begin <= end, "flatten", "axes {} to {} of {} are in the wrong order", first, last, shape);
  Shape flat = shape;
  for (int axis = end; axis > begin; --axis) flat = flat.with(axis - 1, flat[axis - 1] * flat[axis]).without(axis);
  return flat;
}

Tensor flatten(const Tensor& x, int first, int last) {
  return x.contiguous().reshape(flat_shape(x.shape(), first, last));
}

Tensor flip(const Tensor& x, const Axes& axes) {
  Tensor y = x;
  for (int axis : axes) {
    Tensor backwards = arange(x.size(axis));
    std::ranges::reverse(backwards.span<int64_t>());
    y = index_select(y, axis, backwards);
  }
  return axes.empty() ? x.clone() : y;
}

Tensor roll(const Tensor& x, int64_t shift, int axis) {
  const int64_t n = x.size(axis), first = n ? (shift % n + n) % n : 0;  // where element 0 goes
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  copy_range(x, axis, 0, y, first, n - first);
  copy_range(x, axis, n - first, y, 0, first);
  return y;
}

Tensor roll(const Tensor& x, const std::vector<int64_t>& shifts, const std::vector<int>& axes) {
  check<ShapeError>(shifts.size() == axes.size() && !axes.empty(), "roll", "{} shifts for {} axes", shifts.size(),
                    axes.size());
  Tensor y = x;
  for (size_t i = 0; i < axes.size(); ++i) y = roll(y, shifts[i], axes[i]);
  return y;
}

Tensor pad(const Tensor& x, const std::vector<int64_t>& pads, double value) {
  check<ShapeError>(pads.size() % 2 == 0 && pads.size() / 2 <= size_t(x.rank()), "pad",
                    "{} counts for {}; needs two for each axis that is padded", pads.size(), x.shape());
  Shape shape = x.shape();
  for (size_t i = 0; i < pads.size(); ++i) {
    check<ShapeError>(pads[i] >= 0, "pad", "count {} is negative; cut with slice()", pads[i]);
    shape = shape.with(-1 - int(i / 2), shape[-1 - int(i / 2)] + pads[i]);
  }
  Tensor y = full(shape, value, x.dtype());
  unpad(y, pads).copy_(x);
  return y;
}

Tensor unpad(const Tensor& y, const std::vector<int64_t>& pads) {
  Tensor inside = y;
  for (size_t i = 0; i < pads.size(); i += 2) {
    const int axis = -1 - int(i / 2);
    inside = inside.slice(axis, pads[i], inside.size(axis) - pads[i + 1]);
  }
  return inside;
}

}  // namespace vitrail::core
