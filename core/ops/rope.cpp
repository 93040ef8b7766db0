#include "vitrail/core/ops/rope.h"

#include "vitrail/core/error.h"
#include "vitrail/core/kernels/rows.h"
#include "vitrail/core/parallel.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vitrail::core {

Rope make_rope(Grid grid, int64_t head_dim, double base, DType dtype) {
  check<ShapeError>(head_dim > 0 && head_dim % 4 == 0, "rope",
                    "heads have {} dimensions; a row and a column need a multiple of 4", head_dim);
  check<ConfigError>(base > 0, "rope", "the base of the periods is {}; it must be positive", base);
  check<ShapeError>(grid.height > 0 && grid.width > 0, "rope", "a grid of {} x {} has no positions", grid.height,
                    grid.width);
  const int64_t patches = grid.height * grid.width, quarter = head_dim / 4;
  Tensor angles = Tensor::empty({patches, 2 * quarter}, DType::f64);
  const auto coordinate = [](int64_t i, int64_t size) { return 2 * (double(i) + 0.5) / double(size) - 1; };
  for (int64_t patch = 0; patch < patches; ++patch) {
    double* const row = angles.data<double>() + patch * 2 * quarter;
    const double turn_y = 2 * std::numbers::pi * coordinate(patch / grid.width, grid.height);
    const double turn_x = 2 * std::numbers::pi * coordinate(patch % grid.width, grid.width);
    for (int64_t j = 0; j < quarter; ++j) {
      const double period = std::pow(base, double(j) / double(quarter));
      row[j] = turn_y / period;
      row[quarter + j] = turn_x / period;
    }
  }
  Rope rope{Tensor::empty(angles.shape(), DType::f64), Tensor::empty(angles.shape(), DType::f64)};
  std::ranges::transform(angles.span<double>(), rope.cos.data<double>(), [](double a) { return std::cos(a); });
  std::ranges::transform(angles.span<double>(), rope.sin.data<double>(), [](double a) { return std::sin(a); });
  return {rope.cos.to(dtype), rope.sin.to(dtype)};
}

void rotate(const Tensor& x, const Rope& rope, bool inverse, Tensor y) {
  check<ShapeError>(rope.defined() && rope.cos.rank() == 2 && rope.sin.shape() == rope.cos.shape(), "rope",
                    "needs cosines and sines [N, D / 2]");
  const int64_t patches = rope.cos.size(0), half = rope.cos.size(1);
  check<ShapeError>(x.rank() == 4 && x.size(2) >= patches && x.size(3) == 2 * half, "rope",
                    "x is {}; needs [B, H, T, {}] with at least the {} tokens of the patches", x.shape(), 2 * half,
                    patches);
  check<ShapeError>(y.shape() == x.shape() && y.dtype() == x.dtype(), "rope", "x is {} {}, y is {} {}", x.dtype(),
                    x.shape(), y.dtype(), y.shape());
  check<ShapeError>(x.stride(3) == 1 && y.stride(3) == 1, "rope", "the rows of x and y must be dense");
  check<ShapeError>(rope.cos.dtype() == compute_dtype(x.dtype()) && rope.sin.dtype() == rope.cos.dtype(), "rope",
                    "the angles are {}; {} needs {}", rope.cos.dtype(), x.dtype(), compute_dtype(x.dtype()));
  const int64_t heads = x.size(1), tokens = x.size(2), prefix = tokens - patches;
  dispatch_floating(x.dtype(), "rope", [&](auto zero) {
    using T = decltype(zero);
    using C = compute_t<T>;
    const C* const cos = rope.cos.data<C>();
    const C* const sin = rope.sin.data<C>();
    const C sign = inverse ? C(-1) : C(1);
    const auto row_of = [](const Tensor& t, int64_t b, int64_t h, int64_t token) {
      return reinterpret_cast<T*>(const_cast<std::byte*>(t.raw())) + b * t.stride(0) + h * t.stride(1) +
             token * t.stride(2);
    };
    parallel_for(x.size(0) * tokens, 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        for (int64_t head = 0; head < heads; ++head) {
          const int64_t patch = i % tokens - prefix;
          const T* const from = row_of(x, i / tokens, head, i % tokens);
          T* const to = row_of(y, i / tokens, head, i % tokens);
          if (patch < 0) {
            std::copy_n(from, 2 * half, to);
            continue;
          }
          for (int64_t d = 0; d < half; ++d) {
            const C c = cos[patch * half + d], s = sign * sin[patch * half + d];
            const C a = C(from[d]), b = C(from[d + half]);
            to[d] = T(a * c - b * s);
            to[d + half] = T(b * c + a * s);
          }
        }
    });
  });
}

}  // namespace vitrail::core
