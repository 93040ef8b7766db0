// The matrix product on oneDNN.
#pragma once

#include "vitrail/core/matrix.h"

namespace vitrail::core::dnnl {

/// oneDNN reads the matrix in place: its elements are dense along rows or along columns.
template <class T>
bool readable(const Matrix<T>& m) {
  return (m.col_stride == 1 && (m.row_stride >= m.cols || m.rows == 1)) ||
         (m.row_stride == 1 && (m.col_stride >= m.rows || m.cols == 1));
}

/// c = a b + bias; bias (one value a column) may be null. a [M, K], b [K, N], c [M, N], all readable() and not empty.
/// Types: In float with Out float; In bf16 with Out bf16 or float.
/// Thread: any number at once. Inside a parallel region it runs on the calling thread alone.
template <class In, class Out>
void matmul(const Matrix<const In>& a, const Matrix<const In>& b, const Matrix<Out>& c, const float* bias = nullptr);

}  // namespace vitrail::core::dnnl
