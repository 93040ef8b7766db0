// The definition of each function of one element, and the loops that apply them.
#pragma once

#include "vitrail/core/kernels/vec_math.h"

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
  return C(0.5) * x * (1 + vec::erf_coarse(x * C(kRootHalf)));
}
template <class C>
VITRAIL_INLINE C gelu_erf_coarse_slope(C x) {
  const C cdf = C(0.5) * (1 + vec::erf_coarse(x * C(kRootHalf)));
  return cdf + x * C(kDensityAtZero) * vec::exp(C(-0.5) * x * x);
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
