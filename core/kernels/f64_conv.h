// 2-d convolution of f64 tensors on dense NCHW arrays, spread over threads: f32 and bf16 run oneDNN instead.
#pragma once

#include "vitrail/core/conv_shape.h"
#include "vitrail/core/parallel.h"

namespace vitrail::kernels::f64 {

/// fn(pixel of x's plane, pixel of y's plane) for all that weight (ky, kx) joins.
template <class F>
void for_each_pair(const core::ConvShape& s, int64_t ky, int64_t kx, F&& fn) {
  for (int64_t oy = 0; oy < s.out_height(); ++oy)
    for (int64_t ox = 0; ox < s.out_width(); ++ox) {
      const int64_t iy = oy * s.stride - s.padding + ky, ix = ox * s.stride - s.padding + kx;
      if (iy >= 0 && iy < s.height && ix >= 0 && ix < s.width) fn(iy * s.width + ix, oy * s.out_width() + ox);
    }
}

/// fn(element of x, weight, element of y) for every product between planes c and o of image b.
template <class F>
void for_each_product(const core::ConvShape& s, int64_t b, int64_t c, int64_t o, F&& fn) {
  const int64_t x_plane = (b * s.in_chans + c) * s.height * s.width;
  const int64_t y_plane = (b * s.out_chans + o) * s.out_height() * s.out_width();
  for (int64_t ky = 0; ky < s.kernel_h; ++ky)
    for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
      const int64_t w = ((o * s.in_chans + c) * s.kernel_h + ky) * s.kernel_w + kx;
      for_each_pair(s, ky, kx, [&](int64_t i, int64_t j) { fn(x_plane + i, w, y_plane + j); });
    }
}

/// y starts as zeros or the bias; dx and dweight as zeros.
template <class T>
void conv_forward(const core::ConvShape& s, const T* x, const T* weight, T* y) {
  parallel_for(s.batch * s.out_chans, 1, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane)
      for (int64_t c = 0; c < s.in_chans; ++c)
        for_each_product(s, plane / s.out_chans, c, plane % s.out_chans,
                         [&](int64_t i, int64_t w, int64_t o) { y[o] += x[i] * weight[w]; });
  });
}
template <class T>
void conv_backward_input(const core::ConvShape& s, const T* dy, const T* weight, T* dx) {
  parallel_for(s.batch * s.in_chans, 1, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane)
      for (int64_t o = 0; o < s.out_chans; ++o)
        for_each_product(s, plane / s.in_chans, plane % s.in_chans, o,
                         [&](int64_t i, int64_t w, int64_t j) { dx[i] += dy[j] * weight[w]; });
  });
}
template <class T>
void conv_backward_weight(const core::ConvShape& s, const T* dy, const T* x, T* dweight) {
  parallel_for(s.out_chans, 1, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o)
      for (int64_t b = 0; b < s.batch; ++b)
        for (int64_t c = 0; c < s.in_chans; ++c)
          for_each_product(s, b, c, o, [&](int64_t i, int64_t w, int64_t j) { dweight[w] += dy[j] * x[i]; });
  });
}

}  // namespace vitrail::kernels::f64
