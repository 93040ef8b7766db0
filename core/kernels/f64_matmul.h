// The matrix product of f64 tensors, spread over threads: f32 and bf16 run oneDNN or our own kernel instead.
#pragma once

#include "vitrail/core/matrix.h"
#include "vitrail/core/parallel.h"

namespace vitrail::kernels::f64 {

/// c = a b + bias, bias (one value a column) may be null. a [M, K], b [K, N], c [M, N] with c.col_stride 1.
template <class T>
void matmul(const core::Matrix<const T>& a, const core::Matrix<const T>& b, const core::Matrix<T>& c,
            const T* bias = nullptr) {
  const int64_t chunk = 1 + 30000 / (1 + a.cols * b.cols);
  parallel_for(c.rows, chunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T* row = &c(i, 0);
      for (int64_t j = 0; j < c.cols; ++j) row[j] = bias ? bias[j] : T(0);
      for (int64_t k = 0; k < a.cols; ++k) {
        const T factor = a(i, k);
        for (int64_t j = 0; j < c.cols; ++j) row[j] += factor * b(k, j);
      }
    }
  });
}

}  // namespace vitrail::kernels::f64
