#include "vitrail/core/error.h"
#include "vitrail/core/ops/image.h"
#include "vitrail/core/ops/resample.h"

#include <algorithm>
#include <cmath>

namespace vitrail::core {
namespace {

/// Keys 1981: the cubic convolution kernel with parameter a.
double cubic(double x, double a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return a * (((x - 5) * x + 8) * x - 4);
  return 0;
}

/// The position of result element i among the source elements.
double source_position(int64_t i, int64_t from, int64_t to, PosInterp mode) {
  const double middle = double(i) + 0.5;
  switch (mode) {
    case PosInterp::scale_offset:
      return middle * double(from) / (double(to) + 0.1) - 0.5;
    case PosInterp::align_corners:
    case PosInterp::zoom_linear:
      return to > 1 ? double(i) * double(from - 1) / double(to - 1) : 0;
    default:
      return middle * double(from) / double(to) - 0.5;
  }
}

/// The kernel widened by the scale when shrinking, cut at the edges and normalised.
std::vector<Tap> antialiased(int64_t i, int64_t from, int64_t to) {
  const double scale = double(from) / double(to), width = std::max(scale, 1.0), support = 2 * width;
  const double centre = scale * (double(i) + 0.5);
  const int64_t low = std::max(int64_t(centre - support + 0.5), int64_t{0});
  const int64_t high = std::min(int64_t(centre + support + 0.5), from);
  std::vector<Tap> taps;
  double total = 0;
  for (int64_t j = low; j < high; ++j) {
    taps.push_back({j, cubic((double(j) - centre + 0.5) / width, -0.5)});
    total += taps.back().weight;
  }
  for (Tap& tap : taps) tap.weight /= total;
  return taps;
}

AxisWeights axis_weights(int64_t from, int64_t to, PosInterp mode) {
  AxisWeights weights;
  for (int64_t i = 0; i < to; ++i)
    weights.push_back(mode == PosInterp::size_antialias
                          ? antialiased(i, from, to)
                          : neighbours(source_position(i, from, to, mode), from, mode == PosInterp::zoom_linear));
  return weights;
}

/// The middle axis of x [1 or more, n, inner] resampled to `to` elements.
Tensor resampled(const Tensor& x, int64_t to, const AxisWeights& weights, Trans trans) {
  Tensor y = zeros({x.size(0), to, x.size(2)}, DType::f64);
  resample_axis(weights, trans, x.size(0), x.size(1), to, x.size(2), x.data<double>(), y.data<double>());
  return y;
}

/// table [source.height * source.width, C] -> [target.height * target.width, C], computed in double.
Tensor resample(const char* op, const Tensor& table, Grid source, Grid target, PosInterp mode, Trans trans) {
  for (Grid grid : {source, target})
    check<ShapeError>(grid.height > 0 && grid.width > 0, op, "a grid of {} x {} has no positions", grid.height,
                      grid.width);
  check<ShapeError>(table.rank() == 2 && table.size(0) == source.height * source.width, op, "{} is not [{} x {}, C]",
                    table.shape(), source.height, source.width);
  check<ShapeError>(is_floating(table.dtype()), op, "the table is {}, it must be f32, bf16 or f64", table.dtype());
  const DType dtype = table.dtype() == DType::f64 ? DType::f64 : DType::f32;
  if (source == target) return table.clone().to(dtype);
  const auto weights = [&](int64_t a, int64_t b) {
    return trans == Trans::yes ? axis_weights(b, a, mode) : axis_weights(a, b, mode);
  };
  const int64_t channels = table.size(1);
  Tensor x = table.to(DType::f64).contiguous().reshape({source.height, source.width, channels});
  x = resampled(x, target.width, weights(source.width, target.width), trans);
  x = x.reshape({1, source.height, target.width * channels});
  x = resampled(x, target.height, weights(source.height, target.height), trans);
  return x.reshape({target.height * target.width, channels}).to(dtype);
}

void check_patches(const char* op, const Shape& images, int64_t size) {
  check<ShapeError>(images.rank() == 4, op, "images are {}, they must be [B, C, H, W]", images);
  check<ShapeError>(size > 0 && images[2] % size == 0 && images[3] % size == 0, op,
                    "images of {} x {} are not made of patches of {} x {}", images[2], images[3], size, size);
}

}  // namespace

std::vector<Tap> neighbours(double position, int64_t from, bool linear) {
  const double floor = std::floor(position);
  std::vector<Tap> taps;
  for (int k = linear ? 0 : -1; k <= (linear ? 1 : 2); ++k) {
    const double distance = std::abs(position - floor - k);
    taps.push_back(
        {std::clamp<int64_t>(int64_t(floor) + k, 0, from - 1), linear ? 1 - distance : cubic(distance, -0.75)});
  }
  return taps;
}

Tensor patchify(const Tensor& images, int64_t patch_size) {
  const Shape& s = images.shape();
  check_patches("patchify", s, patch_size);
  const int64_t p = patch_size, rows = s[2] / p, columns = s[3] / p;
  return images.reshape({s[0], s[1], rows, p, columns, p})
      .permute({0, 2, 4, 1, 3, 5})
      .clone()
      .reshape(Shape{s[0], rows * columns, s[1] * p * p});
}

Tensor unpatchify(const Tensor& patches, int64_t patch_size, const Shape& image_shape) {
  const Shape& s = image_shape;
  check_patches("unpatchify", s, patch_size);
  const int64_t p = patch_size, rows = s[2] / p, columns = s[3] / p;
  const Shape expected{s[0], rows * columns, s[1] * p * p};
  check<ShapeError>(patches.shape() == expected, "unpatchify", "patches are {}, images of {} need {}", patches.shape(),
                    s, expected);
  return patches.contiguous().reshape({s[0], rows, columns, s[1], p, p}).permute({0, 3, 1, 4, 2, 5}).clone().reshape(s);
}

Tensor resample_positions(const Tensor& table, Grid from, Grid to, PosInterp mode) {
  return resample("resample_positions", table, from, to, mode, Trans::no);
}

Tensor resample_positions_backward(const Tensor& dy, Grid from, Grid to, PosInterp mode) {
  return resample("resample_positions_backward", dy, to, from, mode, Trans::yes);
}

}  // namespace vitrail::core
