// What each function of one element is, by the formulas of <cmath>. core/reference/ holds plain loops over dense f64
// tensors, one element after the other: the definition of each operation. No kernel includes it; tests compare the
// kernels for f32, bf16 and f64 with it.
#pragma once

#include "vitrail/core/tensor.h"

#include <cmath>

namespace vitrail::reference {

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
inline double relu(double x) { return x > 0 ? x : 0; }
inline double leaky_relu(double x, double slope) { return x > 0 ? x : slope * x; }
inline double softplus(double x) { return std::log1p(std::exp(x)); }
inline double silu(double x) { return x * sigmoid(x); }
inline double gelu_erf(double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }
inline double gelu_tanh(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}
inline double gelu_quick(double x) { return x * sigmoid(1.702 * x); }
inline double rsqrt(double x) { return 1 / std::sqrt(x); }
inline double square(double x) { return x * x; }
inline double clamp(double x, double low, double high) { return std::fmin(std::fmax(x, low), high); }

/// f of each element.
template <class F>
Tensor map(const Tensor& x, F&& f) {
  Tensor y = x.clone();
  for (double& value : y.span<double>()) value = f(value);
  return y;
}

/// f of each pair of elements, with broadcasting.
template <class F>
Tensor map2(const Tensor& a, const Tensor& b, F&& f) {
  const Shape shape = broadcast(a.shape(), b.shape());
  const Tensor x = a.expand(shape).clone();
  Tensor y = b.expand(shape).clone();
  for (int64_t i = 0; i < y.numel(); ++i) y.data<double>()[i] = f(x.data<double>()[i], y.data<double>()[i]);
  return y;
}

/// silu(a) b where x = [a | b] along the last axis.
inline Tensor swiglu(const Tensor& x) {
  const int64_t width = x.size(-1) / 2;
  return map2(x.slice(-1, 0, width), x.slice(-1, width, 2 * width), [](double a, double b) { return silu(a) * b; });
}

}  // namespace vitrail::reference
