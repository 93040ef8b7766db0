#include "vitrail/core/kernels/multiply.h"

#include "vitrail/core/dnnl/matmul.h"
#include "vitrail/core/dnnl/stats.h"
#include "vitrail/core/kernels/f64_matmul.h"
#include "vitrail/core/kernels/few_rows.h"
#include "vitrail/core/kernels/gemm.h"
#include "vitrail/core/parallel.h"
#include "vitrail/core/tensor.h"

#include <algorithm>
#include <limits>

namespace vitrail::core {
namespace {

constexpr int64_t kTasksPerThread = 8;
// Steps for which the packed parts of both factors, and the part of c, stay in the second-level cache.
constexpr int64_t kBlockSteps = 192;
// Weights for which a second thread is worth waking.
constexpr int64_t kShareElements = 1 << 16;

int64_t padded_to(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
int64_t parts(int64_t n, int64_t of) { return (n + of - 1) / of; }

/// x [k, n] packed as PackTask says, with `steps` steps in all.
template <class In>
void pack(const Matrix<const In>& x, int64_t steps, int64_t width, In* packed) {
  const bool by_rows = x.col_stride == 1;
  const kernels::PackTask<In> task{.k = x.rows,
                                   .n = x.cols,
                                   .x = x.data,
                                   .x_stride = by_rows ? x.row_stride : x.col_stride,
                                   .y = packed,
                                   .steps = steps,
                                   .width = width};
  by_rows ? kernels::gemm<In>()->pack_rows(task) : kernels::gemm<In>()->pack_columns(task);
}

template <class T>
Matrix<T> part(const Matrix<T>& m, int64_t row, int64_t rows, int64_t col, int64_t cols) {
  return {&m(row, col), std::min(rows, m.rows - row), std::min(cols, m.cols - col), m.row_stride, m.col_stride};
}

/// The rows of a are read in place: b is packed once, then each task computes some rows and columns of c. The tasks of
/// a thread follow one another down the rows, so that they share columns of b.
template <class In, class Out>
void multiply_rows(const Matrix<const In>& a, const Matrix<const In>& b, const Matrix<Out>& c, const float* bias) {
  constexpr int64_t kStep = kernels::kGemmStep<In>, kStrip = kernels::kGemmStrip;
  const kernels::Gemm<In>& kernel = *kernels::gemm<In>();
  const int64_t block_rows = kernel.block_rows, steps = kernel.steps(a.cols), depth = steps * kStep;
  const int64_t columns = padded_to(c.cols, kernels::kGemmColumns), strips = parts(c.cols, kStrip);
  Tensor packed = Tensor::empty({columns * depth}, dtype_of<In>()), padded_bias;
  parallel_for(strips, 1, [&](int64_t strip, int64_t) {
    const int64_t col = strip * kStrip;
    pack(part(b, 0, b.rows, col, kStrip), steps, 0, packed.data<In>() + col * depth);
  });
  if (bias && columns != c.cols) {
    padded_bias = zeros({columns});
    std::copy_n(bias, c.cols, padded_bias.data<float>());
    bias = padded_bias.data<float>();
  }
  const int64_t row_blocks = parts(c.rows, block_rows);
  const int64_t splits = std::clamp<int64_t>(kTasksPerThread * num_threads() / row_blocks, 1, strips);
  const int64_t cached = std::max<int64_t>(kernel.block_bytes / (kStrip * depth * int64_t(sizeof(In))), 1);
  const int64_t per_row = parts(strips, std::min(parts(strips, splits), cached)),
                wide = parts(strips, per_row) * kStrip;
  parallel_for(row_blocks * per_row, 1, [&](int64_t task, int64_t) {
    const int64_t row = task % row_blocks * block_rows, col = task / row_blocks * wide;
    const auto target = part(c, row, block_rows, col, wide);
    const kernels::GemmTask<In, Out> product{.m = target.rows,
                                             .n = target.cols,
                                             .steps = a.cols / kStep,
                                             .a = &a(row, 0),
                                             .a_row = a.row_stride,
                                             .a_step = kStep,
                                             .b = packed.data<In>() + col * depth,
                                             .c = target.data,
                                             .c_row = target.row_stride,
                                             .bias = bias ? bias + col : nullptr,
                                             .add = false};
    if constexpr (std::is_same_v<Out, float>)
      kernel.multiply(product);
    else
      kernel.multiply_narrow(product);
  });
}

/// For long sums, or if the rows of a are not dense. Each thread computes a rectangle of c, one block of steps after
/// another, and packs its parts of both factors. The terms of an element are added in the same order for any number of
/// threads.
template <class In>
void multiply_blocks(const Matrix<const In>& a, const Matrix<const In>& b, const Matrix<float>& c) {
  constexpr int64_t kStep = kernels::kGemmStep<In>, kDepth = kBlockSteps * kStep;
  const kernels::Gemm<In>& kernel = *kernels::gemm<In>();
  const int64_t block_rows = kernel.block_rows;
  const int64_t row_blocks = parts(c.rows, block_rows), strips = parts(c.cols, kernels::kGemmStrip);
  // Chooses the grid of rectangles that packs the least twice: rows of the grid pack b, columns pack a.
  int64_t best = std::numeric_limits<int64_t>::max(), high = c.rows, wide = c.cols;
  for (int64_t rows = 1; rows <= num_threads(); ++rows) {
    const int64_t cols = parts(num_threads(), rows), packed = rows * c.cols + cols * c.rows;
    if (packed >= best) continue;
    best = packed;
    high = parts(row_blocks, rows) * block_rows;
    wide = parts(strips, cols) * kernels::kGemmStrip;
  }
  const int64_t per_row = parts(c.cols, wide), tasks = parts(c.rows, high) * per_row;
  Tensor packed = Tensor::empty({tasks * (high + wide) * kDepth}, dtype_of<In>());
  parallel_for(tasks, 1, [&](int64_t task, int64_t) {
    const int64_t row = task / per_row * high, col = task % per_row * wide;
    const auto target = part(c, row, high, col, wide);
    In* const left = packed.data<In>() + task * (high + wide) * kDepth;
    In* const right = left + high * kDepth;
    for (int64_t k = 0; k < a.cols; k += kDepth) {
      const auto a_part = part(a, row, high, k, kDepth), b_part = part(b, k, kDepth, col, wide);
      const int64_t steps = kernel.steps(a_part.cols);
      pack(a_part.transposed(), steps, block_rows, left);
      pack(b_part, steps, 0, right);
      const kernels::Strides strides = kernel.packed(block_rows, steps);
      for (int64_t i = 0; i < target.rows; i += block_rows)
        kernel.multiply({.m = std::min(block_rows, target.rows - i),
                         .n = target.cols,
                         .steps = steps,
                         .a = left + i * steps * kStep,
                         .a_row = strides.row,
                         .a_step = strides.step,
                         .b = right,
                         .c = &target(i, 0),
                         .c_row = target.row_stride,
                         .bias = nullptr,
                         .add = k > 0});
    }
  });
}

/// bf16 by our own kernels, which move less data than oneDNN's for the sizes of transformers.
template <class Out>
bool multiply_own(const Matrix<const bf16>& a, const Matrix<const bf16>& b, const Matrix<Out>& c, const float* bias) {
  if (!kernels::gemm<bf16>()) return false;
  const bool rows_in_place = a.col_stride == 1 && a.cols % kernels::kGemmStep<bf16> == 0;
  if (rows_in_place) {
    multiply_rows(a, b, c, bias);
    return true;
  }
  if constexpr (std::is_same_v<Out, float>) {
    if (!bias) multiply_blocks(a, b, c);
    return !bias;
  }
  return false;
}

/// Whether it pays to copy the second factor for oneDNN. Its rows or columns, whichever are dense, begin in few sets of
/// the caches if the distance between them is a multiple of 256 bytes. That costs 3 to 10%, but nothing for weight
/// gradients, whose first factor is read column by column. Distances of 12 and 20 KB halve the speed: [1576, 768] x
/// [768, 3072] runs at 160 GFLOP/s in place of 320 (oneDNN 2.6, two threads of an Intel Xeon). The copy takes about 67
/// / a.rows of the product's time.
bool lines_collide(const Matrix<const float>& a, const Matrix<const float>& b) {
  constexpr int64_t kPage = 4096 / sizeof(float), kFewSets = 256 / sizeof(float);
  const int64_t apart = std::max(b.row_stride, b.col_stride);
  return (apart % kPage == 0 && a.rows >= 512) || (apart % kFewSets == 0 && a.rows >= 1536 && a.col_stride == 1);
}

/// oneDNN's product with such a copy, some columns of it at a time.
void multiply_panels(const Matrix<const float>& a, const Matrix<const float>& b, const Matrix<float>& c,
                     const float* bias) {
  constexpr int64_t kMostColumns = 1536, kPadding = 16;
  const bool by_rows = b.col_stride == 1;
  const int64_t width = padded_to(parts(b.cols, parts(b.cols, kMostColumns)), kPadding);
  const int64_t stride = (by_rows ? width : b.rows) + kPadding;
  Tensor copy = Tensor::empty({(by_rows ? b.rows : width) * stride});
  for (int64_t begin = 0; begin < b.cols; begin += width) {
    const Matrix<const float> from = part(b, 0, b.rows, begin, width);
    const Matrix<float> panel{copy.data<float>(), from.rows, from.cols, by_rows ? stride : 1, by_rows ? 1 : stride};
    const Matrix<const float> lines = by_rows ? from : from.transposed();
    parallel_for(lines.rows, 16, [&](int64_t first, int64_t last) {
      for (int64_t line = first; line < last; ++line)
        std::copy_n(&lines(line, 0), lines.cols, panel.data + line * stride);
    });
    dnnl::matmul<float, float>(a, panel, part(c, 0, c.rows, begin, width), bias ? bias + begin : nullptr);
  }
}

}  // namespace

template <class In, class Out>
void multiply(const Matrix<const In>& a, const Matrix<const In>& b, const Matrix<Out>& c, const compute_t<In>* bias) {
  if constexpr (std::is_same_v<In, double>) {
    kernels::f64::matmul(a, b, c, bias);
  } else {
    if constexpr (std::is_same_v<In, bf16>)
      if (multiply_own(a, b, c, bias)) return;
    if constexpr (std::is_same_v<In, float>)
      if (lines_collide(a, b)) return multiply_panels(a, b, c, bias);
    dnnl::matmul(a, b, c, bias);
  }
}

template void multiply(const Matrix<const double>&, const Matrix<const double>&, const Matrix<double>&, const double*);
template void multiply(const Matrix<const float>&, const Matrix<const float>&, const Matrix<float>&, const float*);
template void multiply(const Matrix<const bf16>&, const Matrix<const bf16>&, const Matrix<bf16>&, const float*);
template void multiply(const Matrix<const bf16>&, const Matrix<const bf16>&, const Matrix<float>&, const float*);

void multiply_few(const Matrix<const float>& x, const Matrix<const bf16>& weight, const Matrix<float>& y,
                  const float* bias) {
  const int64_t shares = std::clamp<int64_t>(weight.rows * weight.cols / kShareElements, 1, num_threads());
  parallel_for(weight.rows, parts(weight.rows, shares), [&](int64_t begin, int64_t end) {
    kernels::few_rows().multiply({.rows = x.rows,
                                  .k = x.cols,
                                  .x = x.data,
                                  .w = weight.data,
                                  .w_row = weight.row_stride,
                                  .y = y.data,
                                  .y_row = y.row_stride,
                                  .bias = bias,
                                  .begin = begin,
                                  .end = end});
  });
}

bool native_bf16() { return kernels::gemm<bf16>() != nullptr || dnnl::native_bf16(); }

}  // namespace vitrail::core
