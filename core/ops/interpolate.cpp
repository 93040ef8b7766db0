#include "vitrail/core/kernels/rows.h"
#include "vitrail/core/ops/image.h"
#include "vitrail/core/ops/resample.h"

namespace vitrail::core {
namespace {

AxisWeights axis_weights(int64_t from, int64_t to, Interpolation mode) {
  AxisWeights weights;
  const double scale = double(from) / double(to);
  for (int64_t i = 0; i < to; ++i)
    weights.push_back(mode == Interpolation::nearest
                          ? std::vector<Tap>{{i * from / to, 1}}
                          : neighbours((double(i) + 0.5) * scale - 0.5, from, mode == Interpolation::bilinear));
  return weights;
}

/// Resizes images from the grid `from` to the grid `to`, or applies the transpose of resizing `to` to `from`.
Tensor resize(const char* op, const Tensor& x, Grid to, Interpolation mode, Trans trans) {
  check<ShapeError>(x.rank() == 4, op, "x is {}, it must be [B, C, H, W]", x.shape());
  const Grid from{x.size(2), x.size(3)};
  check<ShapeError>(from.height > 0 && from.width > 0 && to.height > 0 && to.width > 0, op,
                    "cannot resize {} to {} x {}", x.shape(), to.height, to.width);
  const auto weights = [&](int64_t a, int64_t b) {
    return trans == Trans::yes ? axis_weights(b, a, mode) : axis_weights(a, b, mode);
  };
  const AxisWeights rows = weights(from.height, to.height), columns = weights(from.width, to.width);
  const DType type = compute_dtype(x.dtype());
  const Tensor in = x.to(type).contiguous();
  Tensor y = zeros({x.size(0), x.size(1), to.height, to.width}, type);
  dispatch_compute(type, op, [&](auto c) {
    using C = decltype(c);
    parallel_for(x.size(0) * x.size(1), 1, [&](int64_t begin, int64_t end) {
      std::vector<C> narrow(size_t(from.height * to.width));
      for (int64_t plane = begin; plane < end; ++plane) {
        std::ranges::fill(narrow, C(0));
        resample_axis(columns, trans, from.height, from.width, to.width, 1,
                      in.data<C>() + plane * from.height * from.width, narrow.data());
        resample_axis(rows, trans, 1, from.height, to.height, to.width, narrow.data(),
                      y.data<C>() + plane * to.height * to.width);
      }
    });
  });
  return y.to(x.dtype());
}

}  // namespace

Tensor interpolate(const Tensor& x, Grid size, Interpolation mode) {
  return resize("interpolate", x, size, mode, Trans::no);
}
Tensor interpolate_backward(const Tensor& dy, Grid x_size, Interpolation mode) {
  return resize("interpolate_backward", dy, x_size, mode, Trans::yes);
}

}  // namespace vitrail::core
