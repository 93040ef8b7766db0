// Matrix products for linear layers and attention. The second factor is packed, the first one is read in place or
// packed, and the sums of a tile of the result stay in registers. The loops are in core/kernels/loops/gemm.h, compiled
// for each instruction set, and in core/kernels/loops/tiles.h for processors with a matrix unit.
#pragma once

#include "vitrail/core/dtype.h"

#include <cstdint>
#include <type_traits>

namespace vitrail::kernels {

/// Columns of b are padded to a multiple of kGemmColumns and lie in panels; every multiple of kGemmStrip begins one.
inline constexpr int64_t kGemmColumns = 16, kGemmStrip = 96;

/// Rows of b that are multiplied at once: bf16 instructions take pairs.
template <class In>
inline constexpr int64_t kGemmStep = std::is_same_v<In, bf16> ? 2 : 1;

/// c = a b + bias, or c += a b.
template <class In, class Out>
struct GemmTask {
  int64_t m, n;   // of c, which may have any number of columns
  int64_t steps;  // of a: ceil(k / kGemmStep) or more; b has them rounded up to Gemm::step_multiple
  const In* a;    // element (i, k) at a[i * a_row + k / kGemmStep * a_step + k % kGemmStep]
  int64_t a_row, a_step;
  const In* b;  // packed
  Out* c;
  int64_t c_row;
  const compute_t<In>* bias;  // as many values as b has columns, padding included; null: none
  bool add;                   // to c, and no bias
};

/// Puts k rows of n columns where multiply() wants them.
template <class In>
struct PackTask {
  int64_t k, n;
  const In* x;  // the rows are dense, or for pack_columns the columns are, x_stride elements from one to the next
  int64_t x_stride;
  In* y;              // packed; zeros fill the rest
  int64_t steps;      // Gemm::steps(k)
  int64_t width = 0;  // 0: as b. Else in panels of that width, each an `a` for that many rows of c; element
                      // (k, column) of a panel lies where Gemm::packed says
};

/// Elements from one row of a first factor to the next, and from one step to the next.
struct Strides {
  int64_t row, step;
};

/// The kernels of one instruction set for factors of one type; sums are in compute_t<In>.
template <class In>
struct Gemm {
  void (*multiply)(const GemmTask<In, compute_t<In>>& task);
  void (*multiply_narrow)(const GemmTask<In, In>& task);  // bf16 results of bf16 factors
  void (*pack_rows)(const PackTask<In>& task);
  void (*pack_columns)(const PackTask<In>& task);
  bool rows_together;     // packed first factors: all steps of a row lie together; else all rows of a step
  int64_t step_multiple;  // packed factors are filled with zeros to a multiple of it
  int64_t block_rows;     // rows of a that one task takes: they stay in the caches while the panels of b pass by
  int64_t block_bytes;    // at most, of the panels of b that one task takes

  /// Steps of a packed factor with k rows or columns.
  int64_t steps(int64_t k) const {
    const int64_t rows = step_multiple * kGemmStep<In>;
    return (k + rows - 1) / rows * step_multiple;
  }

  /// Strides of a first factor that was packed in a panel of `width` rows.
  Strides packed(int64_t width, int64_t steps) const {
    return rows_together ? Strides{steps * kGemmStep<In>, kGemmStep<In>}
                         : Strides{kGemmStep<In>, width * kGemmStep<In>};
  }
};

/// In is float, bf16 or double. Null for bf16 if the processor has no bf16 instructions.
template <class In>
const Gemm<In>* gemm();
template <>
const Gemm<float>* gemm<float>();
template <>
const Gemm<bf16>* gemm<bf16>();
template <>
const Gemm<double>* gemm<double>();

}  // namespace vitrail::kernels
