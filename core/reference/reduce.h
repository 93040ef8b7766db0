// The definition of sums, statistics and of what one row along the last axis becomes. See core/reference/elementwise.h.
#pragma once

#include "vitrail/core/tensor.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace vitrail::reference {

using Row = std::vector<double>;

/// f(row) -> row, of n elements for each row of x along the last axis: x [..., N] -> [..., n].
template <class F>
Tensor map_rows(const Tensor& x, int64_t n, F&& f) {
  Tensor y = Tensor::empty(x.shape().with(-1, n), DType::f64);
  const int64_t length = x.size(-1), rows = x.shape().with(-1, 1).numel();
  for (int64_t i = 0; i < rows; ++i) {
    const double* from = x.data<double>() + i * length;
    const Row row = f(Row(from, from + length));
    std::copy(row.begin(), row.end(), y.data<double>() + i * n);
  }
  return y;
}

/// f(elements) -> number, of the elements that share all indices beside axes. Reduced axes keep size 1.
template <class F>
Tensor reduce(const Tensor& x, const Axes& axes, F&& f) {
  Shape kept = x.shape();
  for (int axis = 0; axis < x.rank(); ++axis)
    if (axes.empty()) kept = kept.with(axis, 1);
  for (int axis : axes) kept = kept.with(axis, 1);
  std::vector<Row> groups(size_t(kept.numel()));
  for (int64_t i = 0; i < x.numel(); ++i) {
    int64_t rest = i, group = 0, step = 1;
    for (int axis = x.rank() - 1; axis >= 0; --axis) {
      const int64_t at = rest % x.size(axis);
      rest /= x.size(axis);
      if (kept[axis] > 1) group += at * step;
      step *= kept[axis];
    }
    groups[size_t(group)].push_back(x.data<double>()[i]);
  }
  Tensor y = Tensor::empty(kept, DType::f64);
  for (size_t g = 0; g < groups.size(); ++g) y.data<double>()[g] = f(groups[g]);
  return y;
}

inline double sum(const Row& x) {
  double total = 0;
  for (double value : x) total += value;
  return total;
}
inline double mean(const Row& x) { return sum(x) / double(x.size()); }
inline double var(const Row& x, double correction) {
  const double centre = mean(x);
  double total = 0;
  for (double value : x) total += (value - centre) * (value - centre);
  return total / (double(x.size()) - correction);
}
inline double norm(const Row& x) {
  double total = 0;
  for (double value : x) total += value * value;
  return std::sqrt(total);
}
inline double largest(const Row& x) { return *std::max_element(x.begin(), x.end()); }
inline double smallest(const Row& x) { return *std::min_element(x.begin(), x.end()); }
/// log(sum(e^x)) = top + log(sum(e^(x - top))).
inline double logsumexp(const Row& x) {
  const double top = largest(x);
  double total = 0;
  for (double value : x) total += std::exp(value - top);
  return top + std::log(total);
}

inline Tensor log_softmax(const Tensor& x) {
  return map_rows(x, x.size(-1), [](Row row) {
    const double total = row.empty() ? 0 : logsumexp(row);
    for (double& value : row) value -= total;
    return row;
  });
}
inline Tensor softmax(const Tensor& x) {
  Tensor y = reference::log_softmax(x);
  for (double& value : y.span<double>()) value = std::exp(value);
  return y;
}
inline Tensor cumsum(const Tensor& x) {
  return map_rows(x, x.size(-1), [](Row row) {
    for (size_t i = 1; i < row.size(); ++i) row[i] += row[i - 1];
    return row;
  });
}

/// (x - mean) / sqrt(var + eps) * weight + bias.
inline Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  return map_rows(x, x.size(-1), [&](Row row) {
    const double centre = mean(row), scale = 1 / std::sqrt(var(row, 0) + eps);
    for (size_t i = 0; i < row.size(); ++i)
      row[i] = (row[i] - centre) * scale * weight.data<double>()[i] + bias.data<double>()[i];
    return row;
  });
}
/// x / sqrt(mean(x^2) + eps) * weight.
inline Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  return map_rows(x, x.size(-1), [&](Row row) {
    const double scale = 1 / std::sqrt(norm(row) * norm(row) / double(row.size()) + eps);
    for (size_t i = 0; i < row.size(); ++i) row[i] *= scale * weight.data<double>()[i];
    return row;
  });
}
/// x / max(|x|, eps).
inline Tensor l2_normalize(const Tensor& x, double eps) {
  return map_rows(x, x.size(-1), [&](Row row) {
    const double length = std::max(norm(row), eps);
    for (double& value : row) value /= length;
    return row;
  });
}
/// Each channel of x [B, C, ...], normalised over all other axes.
inline Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  Tensor y = x.clone();
  const int64_t channels = x.size(1), inner = x.numel() / (x.size(0) * channels);
  for (int64_t c = 0; c < channels; ++c) {
    Row values;
    for (int64_t i = 0; i < x.numel(); ++i)
      if (i / inner % channels == c) values.push_back(x.data<double>()[i]);
    const double centre = mean(values), scale = 1 / std::sqrt(var(values, 0) + eps);
    for (int64_t i = 0; i < x.numel(); ++i)
      if (i / inner % channels == c)
        y.data<double>()[i] =
            (x.data<double>()[i] - centre) * scale * weight.data<double>()[c] + bias.data<double>()[c];
  }
  return y;
}

}  // namespace vitrail::reference
