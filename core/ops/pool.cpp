#include "vitrail/core/error.h"
#include "vitrail/core/kernels/rows.h"
#include "vitrail/core/ops/image.h"

namespace vitrail::core {
namespace {

struct Pooling {
  int64_t height, width, size, stride, padding;
  int64_t out_height() const { return (height + 2 * padding - size) / stride + 1; }
  int64_t out_width() const { return (width + 2 * padding - size) / stride + 1; }
};

Pooling pooling(const char* op, const Shape& x, int64_t size, int64_t stride, int64_t padding) {
  check<ShapeError>(x.rank() == 4, op, "x is {}; needs [B, C, H, W]", x);
  const Pooling p{x[2], x[3], size, stride, padding};
  check<ShapeError>(p.height > 0 && p.width > 0 && size >= 1 && stride >= 1 && padding >= 0 && 2 * padding <= size &&
                        p.height + 2 * padding >= size && p.width + 2 * padding >= size,
                    op,
                    "x is {}, size {}, stride {}, padding {}; padding is at most half of size, and the window must fit",
                    x, size, stride, padding);
  return p;
}

/// fn(position in the plane) for the pixels of the window at (oy, ox); padding is left out.
template <class F>
void for_each_in_window(const Pooling& p, int64_t oy, int64_t ox, F&& fn) {
  const int64_t top = oy * p.stride - p.padding, left = ox * p.stride - p.padding;
  for (int64_t y = std::max<int64_t>(top, 0); y < std::min(top + p.size, p.height); ++y)
    for (int64_t x = std::max<int64_t>(left, 0); x < std::min(left + p.size, p.width); ++x) fn(y * p.width + x);
}

/// The position of the largest pixel in the window at (oy, ox): the first on ties, a NaN if there is one.
template <class C>
int64_t largest_of_window(const C* plane, const Pooling& p, int64_t oy, int64_t ox) {
  int64_t best = -1;
  for_each_in_window(p, oy, ox, [&](int64_t at) {
    if (best < 0 || plane[at] > plane[best] || (plane[at] != plane[at] && plane[best] == plane[best])) best = at;
  });
  return best;
}

}  // namespace

MaxOut max_pool2d(const Tensor& x, int64_t size, int64_t stride, int64_t padding) {
  const Pooling p = pooling("max_pool2d", x.shape(), size, stride, padding);
  const Shape shape{x.size(0), x.size(1), p.out_height(), p.out_width()};
  const int64_t in_plane = p.height * p.width, out_plane = p.out_height() * p.out_width();
  const Tensor in = x.contiguous();
  MaxOut out{Tensor::empty(shape, x.dtype()), Tensor::empty(shape, DType::i64)};
  dispatch_floating(x.dtype(), "max_pool2d", [&](auto element) {
    using T = decltype(element);
    const T* from = in.data<T>();
    T* values = out.values.data<T>();
    int64_t* indices = out.indices.data<int64_t>();
    parallel_for(shape[0] * shape[1], 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * out_plane; i < end * out_plane; ++i) {
        const T* plane = from + i / out_plane * in_plane;
        const int64_t pixel = i % out_plane;
        indices[i] = largest_of_window(plane, p, pixel / p.out_width(), pixel % p.out_width());
        values[i] = plane[indices[i]];
      }
    });
  });
  return out;
}

Tensor max_pool2d_backward(const Tensor& dy, const Tensor& indices, const Shape& x_shape) {
  check<ShapeError>(x_shape.rank() == 4 && dy.rank() == 4 && dy.shape() == indices.shape() &&
                        dy.size(0) == x_shape[0] && dy.size(1) == x_shape[1],
                    "max_pool2d_backward", "dy is {}, indices is {}, x is {}", dy.shape(), indices.shape(), x_shape);
  const DType type = compute_dtype(dy.dtype());  // windows overlap: sums of bf16 are taken in f32
  Tensor dx = zeros(x_shape, type);
  const Tensor from = dy.to(type).contiguous(), at = indices.contiguous();
  const int64_t in_plane = x_shape[2] * x_shape[3], out_plane = dy.size(2) * dy.size(3);
  dispatch_compute(type, "max_pool2d_backward", [&](auto c) {
    using C = decltype(c);
    const C* gradient = from.data<C>();
    const int64_t* position = at.data<int64_t>();
    C* to = dx.data<C>();
    parallel_for(x_shape[0] * x_shape[1], 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * out_plane; i < end * out_plane; ++i)
        to[i / out_plane * in_plane + position[i]] += gradient[i];
    });
  });
  return dx.to(dy.dtype());
}

Tensor avg_pool2d(const Tensor& x, int64_t size, int64_t stride, int64_t padding) {
  const Pooling p = pooling("avg_pool2d", x.shape(), size, stride, padding);
  const int64_t in_plane = p.height * p.width, out_plane = p.out_height() * p.out_width();
  const Tensor in = x.contiguous();
  Tensor y = Tensor::empty({x.size(0), x.size(1), p.out_height(), p.out_width()}, x.dtype());
  dispatch_floating(x.dtype(), "avg_pool2d", [&](auto element) {
    using T = decltype(element);
    const T* from = in.data<T>();
    T* to = y.data<T>();
    parallel_for(x.size(0) * x.size(1), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * out_plane; i < end * out_plane; ++i) {
        const T* plane = from + i / out_plane * in_plane;
        const int64_t pixel = i % out_plane;
        compute_t<T> total = 0;
        for_each_in_window(p, pixel / p.out_width(), pixel % p.out_width(), [&](int64_t at) { total += plane[at]; });
        to[i] = T(total / compute_t<T>(size * size));
      }
    });
  });
  return y;
}

Tensor avg_pool2d_backward(const Tensor& dy, const Shape& x_shape, int64_t size, int64_t stride, int64_t padding) {
  const Pooling p = pooling("avg_pool2d_backward", x_shape, size, stride, padding);
  const Shape expected{x_shape[0], x_shape[1], p.out_height(), p.out_width()};
  check<ShapeError>(dy.shape() == expected, "avg_pool2d_backward", "dy is {}, expected {}", dy.shape(), expected);
  const DType type = compute_dtype(dy.dtype());  // windows overlap: sums of bf16 are taken in f32
  Tensor dx = zeros(x_shape, type);
  const Tensor from = dy.to(type).contiguous();
  const int64_t in_plane = p.height * p.width, out_plane = p.out_height() * p.out_width();
  dispatch_compute(type, "avg_pool2d_backward", [&](auto c) {
    using C = decltype(c);
    const C* gradient = from.data<C>();
    C* to = dx.data<C>();
    parallel_for(x_shape[0] * x_shape[1], 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * out_plane; i < end * out_plane; ++i) {
        const int64_t pixel = i % out_plane;
        const C share = gradient[i] / C(size * size);
        for_each_in_window(p, pixel / p.out_width(), pixel % p.out_width(),
                           [&](int64_t at) { to[i / out_plane * in_plane + at] += share; });
      }
    });
  });
  return dx.to(dy.dtype());
}

}  // namespace vitrail::core
