// The definition of rotary positions as DINOv3 has them. See core/reference/elementwise.h.
#pragma once

#include "vitrail/core/tensor.h"

#include <cmath>

namespace vitrail::reference {

/// x [B, H, prefix + height * width, D] with its patches rotated, one number at a time: x cos + rotate_half(x) sin.
inline Tensor rope(const Tensor& x, int64_t height, int64_t width, double base) {
  const int64_t tokens = x.size(2), dim = x.size(3), prefix = tokens - height * width;
  const Tensor in = x.to(DType::f64).contiguous();
  Tensor out = in.clone();
  for (int64_t row = 0; row < in.numel() / dim; ++row) {
    const int64_t patch = row % tokens - prefix;
    if (patch < 0) continue;
    const int64_t patch_row = patch / width, patch_column = patch % width;
    for (int64_t d = 0; d < dim; ++d) {
      // Both halves of a head have the same angles: of the row, then of the column.
      const int64_t half_dim = dim / 2, angle = d % half_dim;
      const bool of_row = angle < dim / 4;
      const double place = double(of_row ? patch_row : patch_column), size = double(of_row ? height : width);
      const double coordinate = 2 * ((place + 0.5) / size) - 1;
      const double period = std::pow(base, 2 * double(angle % (dim / 4)) / double(half_dim));
      const double theta = 2 * M_PI * coordinate / period;
      const double* const v = in.data<double>() + row * dim;
      const double half = d < half_dim ? -v[d + half_dim] : v[d - half_dim];
      out.data<double>()[row * dim + d] = v[d] * std::cos(theta) + half * std::sin(theta);
    }
  }
  return out;
}

}  // namespace vitrail::reference
