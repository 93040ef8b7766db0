// Functions of one element, and the loops that apply them.
#pragma once

#include "vitrail/core/kernels/vec_math.h"

#include <type_traits>

namespace vitrail::loops {
inline namespace VITRAIL_ISA {

template <class C>
VITRAIL_INLINE C neg(C x) {
  return -x;
}
template <class C>
VITRAIL_INLINE C exp(C x) {
  return vec::exp(x);
}
template <class C>
VITRAIL_INLINE C log(C x) {
  return vec::log(x);
}
template <class C>
VITRAIL_INLINE C sqrt(C x) {
  return vec::sqrt(x);
}
template <class C>
VITRAIL_INLINE C tanh(C x) {
  return vec::tanh(x);
}
template <class C>
VITRAIL_INLINE C sigmoid(C x) {
  return vec::sigmoid(x);
}

template <class C>
VITRAIL_INLINE C abs(C x) {
  return vec::abs(x);
}
template <class C>
VITRAIL_INLINE C abs_slope(C x) {
  return x > 0 ? C(1) : (x < 0 ? C(-1) : x * 0);  // NaN stays
}
template <class C>
VITRAIL_INLINE C square(C x) {
  return x * x;
}
template <class C>
VITRAIL_INLINE C square_slope(C x) {
  return 2 * x;
}
template <class C>
VITRAIL_INLINE C rsqrt(C x) {
  return 1 / vec::sqrt(x);
}
template <class C>
VITRAIL_INLINE C rsqrt_slope(C x) {
  return C(-0.5) / (x * vec::sqrt(x));
}
template <class C>
VITRAIL_INLINE C erf(C x) {
  return vec::erf(x);
}
template <class C>
VITRAIL_INLINE C erf_slope(C x) {
  return C(1.12837916709551257390) * vec::exp(-x * x);  // 2 / sqrt(pi)
}
template <class C>
VITRAIL_INLINE C sin(C x) {
  return vec::sin(x);
}
template <class C>
VITRAIL_INLINE C sin_slope(C x) {
  return vec::cos(x);
}
template <class C>
VITRAIL_INLINE C cos(C x) {
  return vec::cos(x);
}
template <class C>
VITRAIL_INLINE C cos_slope(C x) {
  return -vec::sin(x);
}
template <class C>
VITRAIL_INLINE C softplus(C x) {
  return vec::max(C(0), x) + vec::log1p_exp(-vec::abs(x));  // max(0, NaN) is NaN
}
template <class C>
VITRAIL_INLINE C softplus_slope(C x) {
  return vec::sigmoid(x);
}

template <class C>
VITRAIL_INLINE C relu(C x) {
  return x < 0 ? C(0) : x;  // NaN stays
}
template <class C>
VITRAIL_INLINE C relu_slope(C x) {
  return x > 0 ? C(1) : C(0);
}

template <class C>
VITRAIL_INLINE C silu(C x) {
  return x * vec::sigmoid(x);
}
template <class C>
VITRAIL_INLINE C silu_slope(C x) {
  const C s = vec::sigmoid(x);
  return s + x * s * (1 - s);
}

inline constexpr double kRootHalf = 0.70710678118654752440, kDensityAtZero = 0.39894228040143267794;  // 1 / sqrt(2 pi)
template <class C>
VITRAIL_INLINE C gelu_erf(C x) {
  return C(0.5) * x * (1 + vec::erf(x * C(kRootHalf)));
}
template <class C>
VITRAIL_INLINE C gelu_erf_slope(C x) {
  const C cdf = C(0.5) * (1 + vec::erf(x * C(kRootHalf)));
  return cdf + x * C(kDensityAtZero) * vec::exp(C(-0.5) * x * x);
}
/// The same for bf16.
template <class C>
VITRAIL_INLINE C gelu_erf_coarse(C x) {
  if constexpr (std::is_same_v<C, float>)
    return x * vec::normal_cdf_coarse(x);
  else
    return gelu_erf(x);
}
template <class C>
VITRAIL_INLINE C gelu_erf_coarse_slope(C x) {
  if constexpr (std::is_same_v<C, float>)
    return vec::gelu_slope_coarse(x);
  else
    return gelu_erf_slope(x);
}

inline constexpr double kGeluTanh = 0.79788456080286535588;  // sqrt(2 / pi)
template <class C>
VITRAIL_INLINE C gelu_tanh(C x) {
  return C(0.5) * x * (1 + vec::tanh(C(kGeluTanh) * (x + C(0.044715) * x * x * x)));
}
template <class C>
VITRAIL_INLINE C gelu_tanh_slope(C x) {
  const C t = vec::tanh(C(kGeluTanh) * (x + C(0.044715) * x * x * x));
  return C(0.5) * (1 + t) + C(0.5) * x * (1 - t * t) * C(kGeluTanh) * (1 + C(3 * 0.044715) * x * x);
}

template <class C>
VITRAIL_INLINE C gelu_quick(C x) {
  return x * vec::sigmoid(C(1.702) * x);
}
template <class C>
VITRAIL_INLINE C gelu_quick_slope(C x) {
  const C s = vec::sigmoid(C(1.702) * x);
  return s + C(1.702) * x * s * (1 - s);
}

template <class C>
VITRAIL_INLINE C mul(C a, C b) {
  return a * b;
}
template <class C>
VITRAIL_INLINE C div(C a, C b) {
  return a / b;
}
/// NaN if one is NaN.
template <class C>
VITRAIL_INLINE C maximum(C a, C b) {
  return a > b || a != a ? a : b;
}
template <class C>
VITRAIL_INLINE C minimum(C a, C b) {
  return a < b || a != a ? a : b;
}
template <class C>
VITRAIL_INLINE C swiglu(C a, C b) {
  return silu(a) * b;
}

template <class C, C (*f)(C)>
void map(const C* x, C* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
}
template <class C, C (*slope)(C)>
void map_backward(const C* dy, const C* x, C* dx, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) dx[i] = dy[i] * slope(x[i]);
}
template <class C, C (*f)(C, C)>
void map2(const C* a, const C* b, C* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = f(a[i], b[i]);
}

template <class C>
void affine(const C* x, C factor, C offset, C* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = factor * x[i] + offset;
}
template <class C>
void blend(const C* a, C s, const C* b, C t, C offset, C* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = s * a[i] + t * b[i] + offset;
}
template <class C>
void lerp(const C* a, const C* b, C t, C* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] + t * (b[i] - a[i]);
}
template <class C>
void where(const C* mask, const C* a, const C* b, C* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = mask[i] != 0 ? a[i] : b[i];
}
template <class C>
void pow(const C* x, C exponent, C* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = vec::pow(x[i], exponent);
}
template <class C>
void pow_backward(const C* dy, const C* x, C exponent, C* dx, int64_t n) {
  for (int64_t i = 0; i < n; ++i) dx[i] = dy[i] * exponent * vec::pow(x[i], exponent - 1);
}
template <class C>
void leaky_relu(const C* x, C slope, C* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] > 0 ? x[i] : slope * x[i];
}
template <class C>
void leaky_relu_backward(const C* dy, const C* x, C slope, C* dx, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) dx[i] = x[i] > 0 ? dy[i] : slope * dy[i];
}
template <class C>
void clamp(const C* x, C low, C high, C* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const C raised = x[i] < low ? low : x[i];
    y[i] = raised > high ? high : raised;
  }
}
template <class C>
void clamp_backward(const C* dy, const C* x, C low, C high, C* dx, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) dx[i] = x[i] >= low && x[i] <= high ? dy[i] : C(0);
}
template <class C>
void maximum_backward(const C* dy, const C* a, const C* b, C* da, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) da[i] = a[i] > b[i] ? dy[i] : (a[i] == b[i] ? C(0.5) * dy[i] : C(0));
}
template <class C>
void swiglu_backward(const C* dy, const C* a, const C* b, C* da, C* db, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const C g = dy[i], gate = a[i];
    da[i] = g * b[i] * silu_slope(gate);
    db[i] = g * silu(gate);
  }
}

}  // namespace VITRAIL_ISA
}  // namespace vitrail::loops
