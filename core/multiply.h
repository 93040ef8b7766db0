// multiply: the product of two matrices, by the kernel for their element types. Internal to core.
#pragma once

#include "dnnl/matmul.h"
#include "dtype.h"
#include "reference/matmul.h"

namespace vitrail::core {

/// c = a b + bias; bias (one value a column) may be null. See dnnl::matmul for what f32 and bf16 matrices may be.
inline void multiply(const Matrix<const double>& a, const Matrix<const double>& b, const Matrix<double>& c,
                     const double* bias = nullptr) {
  reference::matmul(a, b, c, bias);
}
inline void multiply(const Matrix<const float>& a, const Matrix<const float>& b, const Matrix<float>& c,
                     const float* bias = nullptr) {
  dnnl::matmul(a, b, c, bias);
}
template <class Out>
void multiply(const Matrix<const bf16>& a, const Matrix<const bf16>& b, const Matrix<Out>& c,
              const float* bias = nullptr) {
  dnnl::matmul(a, b, c, bias);
}

}  // namespace vitrail::core
