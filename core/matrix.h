// Matrix: a strided two-dimensional view, the operand of matrix products.
#pragma once

#include "vitrail/core/dtype.h"

#include <cstdint>
#include <type_traits>

namespace vitrail::core {

template <class T>
struct Matrix {
  T* data = nullptr;
  int64_t rows = 0, cols = 0;
  int64_t row_stride = 0, col_stride = 1;  // in elements

  T& operator()(int64_t i, int64_t j) const { return data[i * row_stride + j * col_stride]; }
  Matrix transposed() const { return {data, cols, rows, col_stride, row_stride}; }
  operator Matrix<const T>() const requires(!std::is_const_v<T>) { return {data, rows, cols, row_stride, col_stride}; }
};

}  // namespace vitrail::core
