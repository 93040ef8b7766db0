// multiply: the product of two matrices, by the kernel for their element types that measures fastest on this machine.
// Internal to core.
#pragma once

#include "vitrail/core/dtype.h"
#include "vitrail/core/matrix.h"

namespace vitrail::core {

/// multiply() reads the matrix in place: its elements are dense along rows or along columns.
template <class T>
bool readable(const Matrix<T>& m) {
  return (m.col_stride == 1 && (m.row_stride >= m.cols || m.rows == 1)) ||
         (m.row_stride == 1 && (m.col_stride >= m.rows || m.cols == 1));
}

/// c = a b + bias; bias (one value a column) may be null. a [M, K], b [K, N], both readable(), c [M, N] with dense
/// rows; none is empty. In and Out are double, float, or bf16 with Out bf16 or float. Thread: any number at once.
/// Inside a parallel region it runs on the calling thread alone.
template <class In, class Out>
void multiply(const Matrix<const In>& a, const Matrix<const In>& b, const Matrix<Out>& c,
              const compute_t<In>* bias = nullptr);

/// y = x weight' + bias for a few rows: reads each weight once. x [M, K] dense, M at most kernels::kFewRows; weight
/// [N, K] with dense rows; y [M, N] dense; none is empty. bias [N] may be null. Thread: as multiply().
void multiply_few(const Matrix<const float>& x, const Matrix<const bf16>& weight, const Matrix<float>& y,
                  const float* bias);

/// The processor has bf16 instructions. Without them bf16 factors are converted to f32, which is several times faster
/// than emulation.
bool native_bf16();

}  // namespace vitrail::core
