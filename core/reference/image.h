// The definition of convolution and pooling on [B, C, H, W]. See core/reference/elementwise.h.
#pragma once

#include "vitrail/core/tensor.h"

#include <algorithm>
#include <cmath>

namespace vitrail::reference {

/// Element [b, c, y, x] of a dense tensor; `outside` beyond its edges.
inline double pixel(const Tensor& t, int64_t b, int64_t c, int64_t y, int64_t x, double outside = 0) {
  if (y < 0 || y >= t.size(2) || x < 0 || x >= t.size(3)) return outside;
  return t.data<double>()[((b * t.size(1) + c) * t.size(2) + y) * t.size(3) + x];
}

/// y [B, channels, H', W'] from f(b, channel, top, left) for each place of a window in x.
template <class F>
Tensor for_each_window(const Tensor& x, int64_t channels, int64_t height, int64_t width, int64_t stride,
                       int64_t padding, F&& f) {
  const int64_t rows = (x.size(2) + 2 * padding - height) / stride + 1;
  const int64_t columns = (x.size(3) + 2 * padding - width) / stride + 1;
  Tensor y = Tensor::empty({x.size(0), channels, rows, columns}, DType::f64);
  double* out = y.data<double>();
  for (int64_t b = 0; b < x.size(0); ++b)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j) *out++ = f(b, c, i * stride - padding, j * stride - padding);
  return y;
}

/// weight [O, C, kh, kw].
inline Tensor conv2d(const Tensor& x, const Tensor& weight, int64_t stride, int64_t padding) {
  return for_each_window(x, weight.size(0), weight.size(2), weight.size(3), stride, padding,
                         [&](int64_t b, int64_t o, int64_t top, int64_t left) {
                           double total = 0;
                           for (int64_t c = 0; c < weight.size(1); ++c)
                             for (int64_t i = 0; i < weight.size(2); ++i)
                               for (int64_t j = 0; j < weight.size(3); ++j)
                                 total += pixel(x, b, c, top + i, left + j) * pixel(weight, o, c, i, j);
                           return total;
                         });
}

/// Padding counts as zeros.
inline Tensor avg_pool2d(const Tensor& x, int64_t size, int64_t stride, int64_t padding) {
  return for_each_window(x, x.size(1), size, size, stride, padding,
                         [&](int64_t b, int64_t c, int64_t top, int64_t left) {
                           double total = 0;
                           for (int64_t i = 0; i < size; ++i)
                             for (int64_t j = 0; j < size; ++j) total += pixel(x, b, c, top + i, left + j);
                           return total / double(size * size);
                         });
}

inline Tensor max_pool2d(const Tensor& x, int64_t size, int64_t stride, int64_t padding) {
  return for_each_window(x, x.size(1), size, size, stride, padding,
                         [&](int64_t b, int64_t c, int64_t top, int64_t left) {
                           double best = -INFINITY;
                           for (int64_t i = 0; i < size; ++i)
                             for (int64_t j = 0; j < size; ++j)
                               best = std::max(best, pixel(x, b, c, top + i, left + j, -INFINITY));
                           return best;
                         });
}

}  // namespace vitrail::reference
