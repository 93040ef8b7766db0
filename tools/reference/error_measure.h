// The error measure of the reference files: the largest difference, relative to the largest value.
#pragma once

#include "vitrail/core/tensor.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vitrail::reference {

/// max|t|; 0 for an empty tensor.
inline double max_magnitude(const Tensor& t) {
  double largest = 0;
  for (double v : t.to_vector()) largest = std::max(largest, std::abs(v));
  return largest;
}

/// max|a - b|; infinite if the shapes differ or a difference is not a number.
inline double max_difference(const Tensor& a, const Tensor& b) {
  if (!(a.shape() == b.shape())) return std::numeric_limits<double>::infinity();
  const auto x = a.to_vector(), y = b.to_vector();
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double d = std::abs(x[i] - y[i]);
    worst = std::isnan(d) ? std::numeric_limits<double>::infinity() : std::max(worst, d);
  }
  return worst;
}

/// max|a - b| / (max|b| + 0.001 group_max), where group_max is the largest |value| in the group of tensors
/// (max|b| if not given).
inline double relative_error(const Tensor& a, const Tensor& b, double group_max = 0) {
  const double largest = max_magnitude(b);
  const double worst = max_difference(a, b);
  return worst == 0 ? 0 : worst / (largest + 0.001 * std::max(group_max, largest));
}

}  // namespace vitrail::reference
