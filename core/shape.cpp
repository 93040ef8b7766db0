#include "vitrail/core/shape.h"

#include "vitrail/core/error.h"

#include <algorithm>

namespace vitrail {

Shape::Shape(std::span<const int64_t> sizes) {
  check<ShapeError>(sizes.size() <= size_t(kMaxRank), "shape", "rank {} is above the limit of {}", sizes.size(),
                    kMaxRank);
  rank_ = int(sizes.size());
  std::copy(sizes.begin(), sizes.end(), sizes_.begin());
  for (int64_t n : sizes) check<ShapeError>(n >= 0, "shape", "negative size {} in {}", n, *this);
}

int Shape::normalize_axis(int axis) const {
  check<ShapeError>(axis >= -rank_ && axis < rank_, "shape", "axis {} is out of range for {}", axis, *this);
  return axis < 0 ? axis + rank_ : axis;
}

int64_t Shape::numel() const {
  int64_t n = 1;
  for (int64_t size : *this) {
    const bool fits = !__builtin_mul_overflow(n, size, &n);
    check<ShapeError>(fits, "shape", "{} has more than 2^63 elements", *this);
  }
  return n;
}

Shape Shape::with(int axis, int64_t size) const {
  Shape out = *this;
  out.sizes_[size_t(normalize_axis(axis))] = size;
  return out;
}

Shape Shape::without(int axis) const {
  Shape out = *this;
  auto* at = out.sizes_.data() + normalize_axis(axis);
  std::copy(at + 1, out.sizes_.data() + rank_, at);
  out.sizes_[size_t(--out.rank_)] = 0;
  return out;
}

Shape Shape::insert(int axis, int64_t size) const {
  check<ShapeError>(rank_ < kMaxRank, "shape", "{} has the highest rank already", *this);
  check<ShapeError>(axis >= 0 && axis <= rank_, "shape", "cannot insert before axis {} of {}", axis, *this);
  Shape out = *this;
  auto* at = out.sizes_.data() + axis;
  std::copy_backward(at, out.sizes_.data() + rank_, out.sizes_.data() + rank_ + 1);
  *at = size;
  ++out.rank_;
  return out;
}

bool Shape::operator==(const Shape& other) const { return std::equal(begin(), end(), other.begin(), other.end()); }

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (int64_t n : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  return text + "]";
}

Shape broadcast(const Shape& a, const Shape& b, std::string_view op) {
  const Shape& longer = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  Shape out = longer;
  for (int i = 1; i <= shorter.rank(); ++i) {
    const int64_t m = longer[-i], n = shorter[-i];
    check<ShapeError>(m == n || m == 1 || n == 1, op, "shapes {} and {} do not broadcast: {} against {} in axis -{}", a,
                      b, a[-i], b[-i], i);
    out = out.with(-i, m == 1 ? n : m);
  }
  return out;
}

Strides dense_strides(const Shape& shape) {
  Strides strides{};
  int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[size_t(i)] = step;
    step *= shape[i];
  }
  return strides;
}

}  // namespace vitrail
