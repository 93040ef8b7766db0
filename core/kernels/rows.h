// How kernels see tensors: as rows along the last axis, handed out in dense runs of the compute type C whatever the
// strides and the element type. C is float or double, or int64_t for integers. A run that is dense and of type C is
// used where it lies.
#pragma once

#include "vitrail/core/error.h"
#include "vitrail/core/kernels/table.h"
#include "vitrail/core/parallel.h"
#include "vitrail/core/tensor.h"

#include <array>
#include <cstring>
#include <memory>
#include <type_traits>

namespace vitrail::core {

/// fn(C{}) for the compute type of a floating dtype.
template <class F>
decltype(auto) dispatch_compute(DType dtype, std::string_view op, F&& fn) {
  return dispatch_floating(dtype, op, [&](auto v) { return fn(compute_t<decltype(v)>{}); });
}

/// The type of statistics and weights that accompany elements of dtype: f64 for f64, else f32.
inline DType compute_dtype(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

template <class C>
class Rows {
 public:
  /// A scalar is one row of one element.
  explicit Rows(const Tensor& t) : tensor_(t.rank() ? t : t.reshape({1})) {
    length_ = tensor_.size(-1);
    step_ = tensor_.stride(-1);
    count_ = length_ ? tensor_.numel() / length_ : tensor_.shape().with(-1, 1).numel();
    base_ = tensor_.raw();
  }

  int64_t count() const { return count_; }
  int64_t length() const { return length_; }

  /// Elements begin .. begin + n - 1 of a row; buffer holds them if they must be copied.
  const C* read(int64_t row, int64_t begin, int64_t n, C* buffer) const {
    const int64_t at = offset(row) + begin * step_;
    if (dense()) return reinterpret_cast<const C*>(base_) + at;
    dispatch_all(tensor_.dtype(), [&](auto v) {
      using T = decltype(v);
      const T* x = reinterpret_cast<const T*>(base_) + at;
      if constexpr (std::is_same_v<T, bf16> && std::is_floating_point_v<C>) {
        if (step_ == 1) return kernels::table<C>().widen(x, buffer, n);
      }
      for (int64_t i = 0; i < n; ++i) buffer[i] = C(compute_cast<C>(x[i * step_]));
    });
    return buffer;
  }
  const C* read(int64_t row, C* buffer) const { return read(row, 0, length_, buffer); }

  /// Where to put elements begin .. of a row: in place if they are dense and of type C, else buffer. write() follows.
  C* place(int64_t row, int64_t begin, C* buffer) {
    return dense() ? reinterpret_cast<C*>(base_) + offset(row) + begin : buffer;
  }
  C* place(int64_t row, C* buffer) { return place(row, 0, buffer); }
  void write(int64_t row, int64_t begin, int64_t n, const C* from) {
    if (dense()) return;
    const int64_t at = offset(row) + begin * step_;
    dispatch_all(tensor_.dtype(), [&](auto v) {
      using T = decltype(v);
      T* x = reinterpret_cast<T*>(base_) + at;
      if constexpr (std::is_same_v<T, bf16> && std::is_floating_point_v<C>) {
        if (step_ == 1) return kernels::table<C>().narrow(from, 1, x, n);
      }
      for (int64_t i = 0; i < n; ++i) x[i * step_] = static_cast<T>(compute_cast<T>(from[i]));
    });
  }
  void write(int64_t row, const C* from) { write(row, 0, length_, from); }

 private:
  bool dense() const { return step_ == 1 && tensor_.dtype() == dtype_of<C>(); }
  int64_t offset(int64_t row) const {
    if (tensor_.is_contiguous()) return row * length_;
    int64_t at = 0;
    for (int axis = tensor_.rank() - 2; axis >= 0; --axis) {
      at += row % tensor_.size(axis) * tensor_.stride(axis);
      row /= tensor_.size(axis);
    }
    return at;
  }

  Tensor tensor_;
  int64_t length_ = 0, step_ = 1, count_ = 0;
  std::byte* base_ = nullptr;
};

/// A view of x with axis moved to the end.
inline Tensor axis_last(const Tensor& x, int axis) {
  Tensor y = x;
  for (int i = axis; i + 1 < x.rank(); ++i) y = y.transpose(i, i + 1);
  return y;
}

/// Buffers of n elements each for the rows of one chunk.
template <class C>
class Buffers {
 public:
  Buffers(int count, int64_t n) : n_(n), memory_(new C[size_t(n) * size_t(count)]) {}
  C* operator[](size_t i) { return memory_.get() + int64_t(i) * n_; }

 private:
  int64_t n_;
  std::unique_ptr<C[]> memory_;
};

/// Rows of n elements that one thread takes at a time: some 16 thousand elements.
inline int64_t rows_per_chunk(int64_t n) { return std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(n, 1)); }

/// fn(row, inputs, outputs), with arrays of I and O pointers, for each row of tensors that agree in the number of rows.
template <class C, size_t I, size_t O, class F>
void for_each_row(const std::array<Tensor, I>& inputs, const std::array<Tensor, O>& outputs, F&& fn) {
  std::vector<Rows<C>> in(inputs.begin(), inputs.end()), out(outputs.begin(), outputs.end());
  const int64_t count = in[0].count();
  int64_t longest = 0;
  for (const auto& rows : in) longest = std::max(longest, rows.length());
  for (const auto& rows : out) longest = std::max(longest, rows.length());
  parallel_for(count, rows_per_chunk(longest), [&](int64_t begin, int64_t end) {
    Buffers<C> buffers(int(I + O), longest);
    std::array<const C*, I> from;
    std::array<C*, O> to;
    for (int64_t row = begin; row < end; ++row) {
      for (size_t i = 0; i < I; ++i) from[i] = in[i].read(row, buffers[i]);
      for (size_t o = 0; o < O; ++o) to[o] = out[o].place(row, buffers[I + o]);
      fn(row, from, to);
      for (size_t o = 0; o < O; ++o) out[o].write(row, to[o]);
    }
  });
}

/// Merges each axis with the next one where the strides of all tensors allow it. The tensors have one shape.
template <size_t N>
void merge_axes(std::array<Tensor, N>& tensors) {
  for (int axis = tensors[0].rank() - 2; axis >= 0; --axis) {
    const Shape shape = tensors[0].shape();
    bool mergeable = true;
    for (const Tensor& t : tensors)
      mergeable &= shape[axis] == 1 || shape[axis + 1] == 1 || t.stride(axis) == t.stride(axis + 1) * shape[axis + 1];
    if (!mergeable) continue;
    const Shape merged = shape.without(axis).with(axis, shape[axis] * shape[axis + 1]);
    for (Tensor& t : tensors) t = t.reshape(merged);
  }
}

/// fn(inputs, outputs, n) for runs of up to 512 elements of inputs, broadcast to the outputs' common shape.
template <class C, size_t I, size_t O, class F>
void for_each_run(const std::array<Tensor, I>& inputs, const std::array<Tensor, O>& outputs, F&& fn) {
  constexpr int64_t kRun = 512, kRunsPerChunk = 32;
  std::array<Tensor, I + O> tensors;
  for (size_t i = 0; i < I; ++i) tensors[i] = inputs[i].expand(outputs[0].shape());
  for (size_t o = 0; o < O; ++o) tensors[I + o] = outputs[o];
  if (outputs[0].numel() == 0) return;
  merge_axes(tensors);
  std::vector<Rows<C>> rows(tensors.begin(), tensors.end());
  const int64_t length = rows[0].length(), runs = (length + kRun - 1) / kRun;
  const int64_t chunk = std::max<int64_t>(kRunsPerChunk, kRunsPerChunk * kRun / length);
  parallel_for(rows[0].count() * runs, chunk, [&](int64_t begin, int64_t end) {
    C buffers[I + O][kRun];
    std::array<const C*, I> from;
    std::array<C*, O> to;
    for (int64_t r = begin; r < end; ++r) {
      const int64_t row = r / runs, at = r % runs * kRun, n = std::min(kRun, length - at);
      for (size_t i = 0; i < I; ++i) from[i] = rows[i].read(row, at, n, buffers[i]);
      for (size_t o = 0; o < O; ++o) to[o] = rows[I + o].place(row, at, buffers[I + o]);
      fn(from, to, n);
      for (size_t o = 0; o < O; ++o) rows[I + o].write(row, at, n, to[o]);
    }
  });
}

}  // namespace vitrail::core
