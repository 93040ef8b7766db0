// Shapes: at most kMaxRank 64-bit sizes held inline, broadcasting, printing.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace vitrail {

inline constexpr int kMaxRank = 8;

using Strides = std::array<int64_t, kMaxRank>;  // in elements; entries past the rank are 0

/// The sizes of a tensor, outermost first. Rank 0 is a scalar.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes) : Shape(std::span<const int64_t>(sizes.begin(), sizes.size())) {}
  /// Throws ShapeError above rank 8 or for a negative size.
  explicit Shape(std::span<const int64_t> sizes);

  /// The number of axes.
  int rank() const { return rank_; }
  /// Negative axes count from the end. Throws ShapeError out of range.
  int64_t operator[](int axis) const { return sizes_[size_t(normalize_axis(axis))]; }
  /// axis in [0, rank). Throws ShapeError if axis is not in [-rank, rank).
  int normalize_axis(int axis) const;
  /// Product of the sizes, 1 for a scalar. Throws ShapeError if it does not fit 63 bits.
  int64_t numel() const;

  /// A copy with one size changed, taken away, or put in before axis (axis may be rank for insert).
  Shape with(int axis, int64_t size) const;
  Shape without(int axis) const;
  Shape insert(int axis, int64_t size) const;

  /// The sizes, outermost first.
  const int64_t* begin() const { return sizes_.data(); }
  const int64_t* end() const { return sizes_.data() + rank_; }
  bool operator==(const Shape& other) const;

 private:
  std::array<int64_t, kMaxRank> sizes_{};
  int rank_ = 0;
};

/// "[8, 197, 384]"; "[]" for a scalar.
std::string to_string(const Shape& shape);

/// A list of axes to reduce or reverse: {0, 2}, or 1 for {1}. Negative axes count from the end.
class Axes {
 public:
  Axes() = default;
  Axes(int axis) : axes_{axis} {}                          // NOLINT(google-explicit-constructor)
  Axes(std::initializer_list<int> axes) : axes_(axes) {}   // NOLINT
  Axes(std::vector<int> axes) : axes_(std::move(axes)) {}  // NOLINT

  /// The axes as given, not normalised.
  bool empty() const { return axes_.empty(); }
  auto begin() const { return axes_.begin(); }
  auto end() const { return axes_.end(); }

 private:
  std::vector<int> axes_;
};

/// NumPy broadcasting, sizes aligned at the end. Throws ShapeError naming both shapes and op.
Shape broadcast(const Shape& a, const Shape& b, std::string_view op = "broadcast");

/// Row-major strides of a dense tensor.
Strides dense_strides(const Shape& shape);

}  // namespace vitrail
