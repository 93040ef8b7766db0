// Matrices of single heads as factors of products: how attention reads, packs and writes them. Internal to core.
#pragma once

#include "vitrail/core/kernels/gemm.h"
#include "vitrail/core/kernels/rows.h"
#include "vitrail/core/matrix.h"
#include "vitrail/core/ops/matmul.h"

namespace vitrail::core {

inline int64_t padded(int64_t columns) {
  return (columns + kernels::kGemmColumns - 1) / kernels::kGemmColumns * kernels::kGemmColumns;
}

/// k, filled to the length that packed factors have.
template <class F>
int64_t padded_terms(int64_t k) {
  return kernels::gemm<F>()->steps(k) * kernels::kGemmStep<F>;
}

/// The first factor of a product: element (i, k) lies as GemmTask says.
template <class F>
struct Left {
  const F* data;
  int64_t row, step, steps;
};
template <class F>
Left<F> left(const Matrix<const F>& rows) {
  constexpr int64_t kStep = kernels::kGemmStep<F>;
  return {rows.data, rows.row_stride, kStep, (rows.cols + kStep - 1) / kStep};
}

/// c = a b, or c += a b; b is packed.
template <class F, class Out>
void multiply(const Left<F>& a, const F* b, const Matrix<Out>& c, bool add = false) {
  const kernels::Gemm<F>& kernel = *kernels::gemm<F>();
  const kernels::GemmTask<F, Out> task{.m = c.rows,
                                       .n = c.cols,
                                       .steps = a.steps,
                                       .a = a.data,
                                       .a_row = a.row,
                                       .a_step = a.step,
                                       .b = b,
                                       .c = c.data,
                                       .c_row = c.row_stride,
                                       .bias = nullptr,
                                       .add = add};
  if constexpr (std::is_same_v<Out, compute_t<F>>)
    kernel.multiply(task);
  else
    kernel.multiply_narrow(task);
}

/// A second factor: x [k, n], or with Trans::yes its transpose [n, k], packed into `to`, which has packed_size
/// elements.
template <class F>
int64_t packed_size(int64_t k, int64_t n) {
  return padded_terms<F>(k) * padded(n);
}
template <class F>
const F* pack(const Matrix<const F>& x, Trans trans, F* to) {
  const bool by_rows = trans == Trans::no;
  const int64_t k = by_rows ? x.rows : x.cols, n = by_rows ? x.cols : x.rows;
  const kernels::Gemm<F>& kernel = *kernels::gemm<F>();
  const kernels::PackTask<F> task{
      .k = k, .n = n, .x = x.data, .x_stride = x.row_stride, .y = to, .steps = kernel.steps(k)};
  by_rows ? kernel.pack_rows(task) : kernel.pack_columns(task);
  return to;
}

/// The transpose of x as a first factor: in place where steps are single elements, else in a buffer of padded_terms of
/// x.rows by padded(x.cols) elements.
template <class F>
Left<F> left_transposed(const Matrix<const F>& x, F* buffer) {
  if (kernels::kGemmStep<F> == 1) return {x.data, 1, x.row_stride, x.rows};
  const kernels::Gemm<F>& kernel = *kernels::gemm<F>();
  const int64_t width = padded(x.cols), count = kernel.steps(x.rows);
  kernel.pack_rows(
      {.k = x.rows, .n = x.cols, .x = x.data, .x_stride = x.row_stride, .y = buffer, .steps = count, .width = width});
  const kernels::Strides strides = kernel.packed(width, count);
  return {buffer, strides.row, strides.step, count};
}

/// The matrices of a tensor [B, H, rows, D] as factors of type F: in place where they lie so, else through a buffer of
/// buffer_size elements.
template <class F>
class Heads {
 public:
  using C = compute_t<F>;

  explicit Heads(const Tensor& t)
      : tensor_(t),
        heads_(t.size(1)),
        rows_(t.size(2)),
        cols_(t.size(3)),
        width_(padded(cols_)),
        image_stride_(t.stride(0)),
        head_stride_(t.stride(1)),
        row_stride_(t.stride(2)),
        col_stride_(t.stride(3)),
        element_(size_of(t.dtype())),
        in_place_(t.dtype() == dtype_of<F>() && col_stride_ == 1 && row_stride_ >= cols_) {}

  int64_t buffer_size(int64_t n) const { return n * width_; }

  /// Rows begin .. begin + n - 1 of a head; a row may be read to the end of its last step.
  Matrix<const F> read(int64_t head, int64_t begin, int64_t n, F* buffer) const {
    const std::byte* const first = at(head, begin);
    if (in_place_ && cols_ % kernels::kGemmStep<F> == 0)
      return {reinterpret_cast<const F*>(first), n, cols_, row_stride_, 1};
    load(first, n, buffer);
    return {buffer, n, cols_, width_, 1};
  }
  /// Asks for the rows of a head, if there is one: they lie too far apart for the processor to prefetch them.
  void prefetch(int64_t head) const {
    constexpr int64_t kLine = 64;
    if (head >= tensor_.size(0) * heads_ || col_stride_ != 1) return;
    const std::byte* row = at(head, 0);
    for (int64_t i = 0; i < rows_; ++i, row += row_stride_ * element_)
      for (int64_t byte = 0; byte < cols_ * element_; byte += kLine) __builtin_prefetch(row + byte, 0, 2);
  }
  /// product(to) computes rows begin .. of a head into `to`, a matrix of F in place, or of C in the buffer that is
  /// converted then.
  template <class P>
  void compute(int64_t head, int64_t begin, int64_t n, C* buffer, P&& product) const {
    if (in_place_) return product(Matrix<F>{reinterpret_cast<F*>(at(head, begin)), n, cols_, row_stride_, 1});
    const Matrix<C> result{buffer, n, cols_, width_, 1};
    product(result);
    write(head, begin, result);
  }
  void write(int64_t head, int64_t begin, const Matrix<C>& from) const {
    dispatch_floating(tensor_.dtype(), "attention", [&](auto v) {
      using T = decltype(v);
      for (int64_t i = 0; i < from.rows; ++i) {
        T* const row = reinterpret_cast<T*>(at(head, begin + i));
        if constexpr (std::is_same_v<T, bf16>) {
          if (col_stride_ == 1) {
            kernels::table<C>().narrow(&from(i, 0), 1, row, cols_);
            continue;
          }
        }
        for (int64_t j = 0; j < cols_; ++j) row[j * col_stride_] = T(compute_cast<T>(from(i, j)));
      }
    });
  }

 private:
  std::byte* at(int64_t head, int64_t row) const {
    const int64_t offset = head / heads_ * image_stride_ + head % heads_ * head_stride_ + row * row_stride_;
    return const_cast<std::byte*>(tensor_.raw()) + offset * element_;
  }
  /// n rows from x on into rows of width_.
  void load(const std::byte* x, int64_t n, F* to) const {
    dispatch_floating(tensor_.dtype(), "attention", [&](auto v) {
      using T = decltype(v);
      for (int64_t i = 0; i < n; ++i, x += row_stride_ * element_, to += width_) {
        const T* const row = reinterpret_cast<const T*>(x);
        if constexpr (std::is_same_v<T, bf16> && !std::is_same_v<F, bf16>) {
          if (col_stride_ == 1) kernels::table<C>().widen(row, to, cols_);
        }
        if (!std::is_same_v<T, bf16> || std::is_same_v<F, bf16> || col_stride_ != 1)
          for (int64_t j = 0; j < cols_; ++j) to[j] = F(compute_cast<F>(row[j * col_stride_]));
        std::fill(to + cols_, to + width_, F());
      }
    });
  }

  Tensor tensor_;
  int64_t heads_, rows_, cols_, width_, image_stride_, head_stride_, row_stride_, col_stride_, element_;
  bool in_place_;
};

/// Memory of one task, handed out in aligned pieces.
class Scratch {
 public:
  explicit Scratch(std::byte* memory) : next_(memory) {}
  template <class T>
  T* take(int64_t elements) {
    return reinterpret_cast<T*>(std::exchange(next_, next_ + bytes_of<T>(elements)));
  }
  template <class T>
  static int64_t bytes_of(int64_t elements) {
    return (elements * int64_t(sizeof(T)) + 63) / 64 * 64;
  }

 private:
  std::byte* next_;
};

}  // namespace vitrail::core
