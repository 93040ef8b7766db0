// Tensor: a cheap handle on reference-counted elements with a shape and strides. Views share the elements. A function
// copies them only if its name says so: clone, contiguous, to. A tensor has no history; autograd/tape.h adds one.
#pragma once

#include "vitrail/core/dtype.h"
#include "vitrail/core/memory.h"
#include "vitrail/core/shape.h"

#include <iosfwd>
#include <span>
#include <vector>

namespace vitrail {

/// Up to kMaxRank axes of elements of one DType. Copying a tensor copies the handle, not the elements.
class Tensor {
 public:
  /// Undefined: no elements, no shape. Only defined() and assignment may be called.
  Tensor() = default;
  /// Uninitialised elements, dense, from the pool.
  static Tensor empty(const Shape& shape, DType dtype = DType::f32);
  /// Dense elements in memory that somebody else allocated. Throws ShapeError if storage is too small for them.
  static Tensor in(Storage storage, const Shape& shape, DType dtype);

  /// False for Tensor(). Sizes and strides count elements, nbytes() bytes. Negative axes count from the end.
  bool defined() const { return bool(storage_); }
  const Shape& shape() const { return shape_; }
  const Strides& strides() const { return strides_; }
  int rank() const { return shape_.rank(); }
  int64_t size(int axis) const { return shape_[axis]; }
  int64_t stride(int axis) const { return strides_[size_t(shape_.normalize_axis(axis))]; }
  int64_t numel() const { return numel_; }
  int64_t nbytes() const { return numel_ * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  /// Dense in row-major order.
  bool is_contiguous() const { return contiguous_; }

  /// The first element. Throws ShapeError if T is not the element type.
  template <class T>
  T* data() {
    expect(dtype_of<T>());
    return reinterpret_cast<T*>(raw());
  }
  template <class T>
  const T* data() const {
    expect(dtype_of<T>());
    return reinterpret_cast<const T*>(raw());
  }
  /// The first element's address, whatever the type.
  std::byte* raw() { return storage_.data() + offset_; }
  const std::byte* raw() const { return storage_.data() + offset_; }
  /// All elements of a contiguous tensor. Throws ShapeError for a strided one.
  template <class T>
  std::span<const T> span() const {
    expect_contiguous("span");
    return {data<T>(), size_t(numel_)};
  }
  template <class T>
  std::span<T> span() {
    expect_contiguous("span");
    return {data<T>(), size_t(numel_)};
  }
  /// The only element, as double. Throws ShapeError if there is not exactly one.
  double item() const;
  /// The elements in row-major order, each converted to double; for tests and small results.
  std::vector<double> to_vector() const;

  // Views: they share the elements.
  /// One size may be -1. Throws ShapeError if the count differs or strides cannot express it: call contiguous() first.
  Tensor reshape(std::initializer_list<int64_t> sizes) const;
  Tensor reshape(const Shape& shape) const;
  /// Exchanges two axes, or puts axis axes[i] at place i.
  Tensor transpose(int a, int b) const;
  Tensor permute(std::span<const int> axes) const;
  Tensor permute(std::initializer_list<int> axes) const { return permute(std::span(axes.begin(), axes.size())); }
  /// Elements begin, begin + step, ... before end along axis; 0 <= begin <= end <= size.
  Tensor slice(int axis, int64_t begin, int64_t end, int64_t step = 1) const;
  /// One index along axis; the result lacks the axis.
  Tensor select(int axis, int64_t index) const;
  /// One index along the first axis; a negative one counts from the end.
  Tensor operator[](int64_t index) const { return select(0, index < 0 ? index + size(0) : index); }
  /// Drops an axis of size 1. Throws ShapeError for another size.
  Tensor squeeze(int axis) const;
  Tensor unsqueeze(int axis) const;  // a new axis of size 1 before axis; axis may be rank()
  /// Broadcast to shape with strides 0. Throws ShapeError if it does not.
  Tensor expand(const Shape& shape) const;

  // Copies.
  Tensor contiguous() const;     // itself if already dense
  Tensor clone() const;          // dense
  Tensor to(DType dtype) const;  // itself if already of that type

  // In place, for code that owns its tensor: kernels, optimizers, data.
  Tensor& zero_();
  Tensor& fill_(double value);
  /// Copies src's elements here, converting; src broadcasts to this shape.
  Tensor& copy_(const Tensor& src);

  /// No other tensor shares the elements.
  bool unique() const { return storage_.unique(); }
  /// Whether both are views of one block of memory.
  bool shares_storage(const Tensor& other) const { return storage_ == other.storage_; }

 private:
  Tensor view(const Shape& shape, const Strides& strides, int64_t offset_elements) const;
  void expect(DType dtype) const;
  void expect_contiguous(std::string_view op) const;

  Storage storage_;
  int64_t offset_ = 0;  // bytes
  int64_t numel_ = 0;
  Shape shape_;
  Strides strides_{};
  DType dtype_ = DType::f32;
  bool contiguous_ = true;
};

/// A new dense tensor with equal elements; scalar() has shape [].
Tensor zeros(const Shape& shape, DType dtype = DType::f32);
Tensor ones(const Shape& shape, DType dtype = DType::f32);
Tensor full(const Shape& shape, double value, DType dtype = DType::f32);
Tensor scalar(double value, DType dtype = DType::f32);
/// 0, 1, ..., n - 1.
Tensor arange(int64_t n, DType dtype = DType::i64);
/// A copy of values, row-major. Throws ShapeError if the count differs from the shape's.
template <class T>
Tensor tensor(std::span<const T> values, const Shape& shape);
template <class T>
Tensor tensor(const std::vector<T>& values, const Shape& shape) {
  return tensor(std::span<const T>(values), shape);
}
template <class T>
Tensor tensor(std::initializer_list<T> values, const Shape& shape) {
  return tensor(std::span<const T>(values.begin(), values.size()), shape);
}

/// "f32 [2, 3] {1, 2, 3, ...}": type, shape and the first elements, for messages and tests.
std::string to_string(const Tensor& t);
/// The elements in nested brackets, then type and shape. Above 1000 elements, only the first and last three of an axis.
std::ostream& operator<<(std::ostream& out, const Tensor& t);

}  // namespace vitrail
