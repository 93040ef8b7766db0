// exp, log, erf, tanh, sigmoid without branches, so that a loop over them becomes vector code. float: polynomials, off
// by a few units in the last place; double: the C library. Everything is inlined and lives in a namespace of the
// instruction set it is compiled for, so that the linker never mixes copies made for different machines.
#pragma once

#include <cmath>
#include <cstdint>

#ifndef VITRAIL_ISA
#define VITRAIL_ISA portable
#endif
#define VITRAIL_INLINE [[gnu::always_inline]] inline

namespace vitrail::vec {
inline namespace VITRAIL_ISA {

namespace detail {

VITRAIL_INLINE float from_bits(int32_t bits) { return __builtin_bit_cast(float, bits); }
VITRAIL_INLINE int32_t to_bits(float x) { return __builtin_bit_cast(int32_t, x); }

/// c0 + x (c1 + x (c2 + ...)).
VITRAIL_INLINE float polynomial(float, float c) { return c; }
template <class... Cs>
VITRAIL_INLINE float polynomial(float x, float c, Cs... rest) {
  return c + x * polynomial(x, rest...);
}

}  // namespace detail

VITRAIL_INLINE float abs(float x) { return __builtin_fabsf(x); }
VITRAIL_INLINE double abs(double x) { return __builtin_fabs(x); }
VITRAIL_INLINE float sqrt(float x) { return __builtin_sqrtf(x); }
VITRAIL_INLINE double sqrt(double x) { return __builtin_sqrt(x); }
/// The larger; b if either is NaN.
template <class C>
VITRAIL_INLINE C max(C a, C b) {
  return a > b ? a : b;
}

namespace detail {

/// e^x = e^r 2^n, with n the integer nearest to x / ln 2.
struct ExpParts {
  float e_r;
  uint32_t n;
};
VITRAIL_INLINE ExpParts exp_parts(float x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves an integer in the low bits
  const float shifted = x * 1.44269504089f + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * 0.693145751953125f) - n * 1.42860682030941723e-6f;  // ln 2 in two parts
  const float p =
      polynomial(r, 5.000000000e-01f, 1.666657667e-01f, 4.166655421e-02f, 8.363232884e-03f, 1.392625083e-03f);
  return {1.0f + (r + r * r * p), uint32_t(to_bits(shifted)) - uint32_t(to_bits(kRound))};
}

}  // namespace detail

/// NaN passes through, below -104 it is 0, above 88.73 infinite.
VITRAIL_INLINE float exp(float x) {
  x = x < -104.0f ? -104.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const detail::ExpParts parts = detail::exp_parts(x);
  const int32_t n = int32_t(parts.n), half = n >> 1;  // in two factors, as 2^n itself may be out of range
  return parts.e_r * detail::from_bits((half + 127) << 23) * detail::from_bits((n - half + 127) << 23);
}
VITRAIL_INLINE double exp(double x) { return std::exp(x); }
/// The same for x < 88, with fewer operations; below -87.3, where normal numbers end, it is 0.
VITRAIL_INLINE float exp_bounded(float x) {
  const detail::ExpParts parts = detail::exp_parts(x);
  return x < -87.3f ? 0.0f : parts.e_r * detail::from_bits(int32_t((parts.n + 127u) << 23));
}
VITRAIL_INLINE double exp_bounded(double x) { return std::exp(x); }

/// x = m 2^n with m in [0.7, 1.4]; log x = log m + n ln 2.
VITRAIL_INLINE float log(float x) {
  const bool tiny = x < 1.17549435e-38f;
  const int32_t bits = detail::to_bits(tiny ? x * 8388608.0f : x);
  const int32_t n = int32_t(uint32_t(bits) - 0x3f3504f3u) >> 23;  // of x / sqrt(1/2)
  const float f = detail::from_bits(int32_t(uint32_t(bits) - (uint32_t(n) << 23))) - 1.0f;
  const float e = float(n) - (tiny ? 23.0f : 0.0f);
  const float p =
      detail::polynomial(f, 3.333333118e-01f, -2.499999696e-01f, 2.000071575e-01f, -1.666780232e-01f, 1.424905765e-01f,
                         -1.242568734e-01f, 1.168541992e-01f, -1.147973381e-01f, 6.971611443e-02f);
  const float low = f * f * (f * p - 0.5f) + e * 1.42860682030941723e-6f;
  float y = (f + low) + e * 0.693145751953125f;
  y = x == 0.0f ? -__builtin_inff() : y;
  y = x == __builtin_inff() ? x : y;
  return x >= 0.0f ? y : __builtin_nanf("");
}
VITRAIL_INLINE double log(double x) { return std::log(x); }

/// Calls into the C library, one element at a time: no hot loop needs them.
VITRAIL_INLINE float sin(float x) { return __builtin_sinf(x); }
VITRAIL_INLINE double sin(double x) { return __builtin_sin(x); }
VITRAIL_INLINE float cos(float x) { return __builtin_cosf(x); }
VITRAIL_INLINE double cos(double x) { return __builtin_cos(x); }
VITRAIL_INLINE float pow(float x, float exponent) { return __builtin_powf(x, exponent); }
VITRAIL_INLINE double pow(double x, double exponent) { return __builtin_pow(x, exponent); }

VITRAIL_INLINE float erf(float x) {
  const float t = abs(x);
  const float s = t < 0.95f ? x * x : 0.0f;
  const float near = x * detail::polynomial(s, 1.128379166e+00f, -3.761263205e-01f, 1.128366947e-01f, -2.685795906e-02f,
                                            5.197487227e-03f, -8.102915561e-04f, 8.204169676e-05f);
  const float u = t > 4.05f ? 4.05f : t;  // erf(4.05) rounds to 1
  const float far = 1.0f - exp(-detail::polynomial(u, -3.129130498e-04f, 1.130206045e+00f, 6.318706306e-01f,
                                                   1.100392832e-01f, -2.639814640e-02f, 4.751432830e-03f,
                                                   -5.950237578e-04f, 4.583974723e-05f, -1.625671377e-06f));
  return t < 0.95f ? near : __builtin_copysignf(far, x);
}
VITRAIL_INLINE double erf(double x) { return std::erf(x); }
/// x between low and high; NaN stays. One statement each, so that the compiler finds the minimum and the maximum.
VITRAIL_INLINE float clamped(float x, float low, float high) {
  const float at_most = high < x ? high : x;
  return low > at_most ? low : at_most;
}
/// The distribution function of the normal distribution, off by at most 2e-6: for results that are rounded to bf16
/// (steps of 4e-3) at once. An odd polynomial of x, in z = 2 (x / end)^2 - 1, and a half; it leaves [0, 1] at the ends
/// alone.
VITRAIL_INLINE float normal_cdf_coarse(float x) {
  constexpr float kEnd = 4.7f;
  const float u = clamped(x, -kEnd, kEnd), z = u * u * (2 / (kEnd * kEnd)) - 1.0f;
  const float p = detail::polynomial(z, 1.503146142e-01f, -7.436466905e-02f, 5.356163358e-02f, -4.049074364e-02f,
                                     2.997338345e-02f, -2.134982932e-02f, 1.327795633e-02f, -6.458979171e-03f,
                                     4.125555613e-03f, -3.611977591e-03f, 1.406055681e-03f);
  return clamped(0.5f + u * p, 0.0f, 1.0f);
}
/// The slope of GELU by erf in the same way, off by at most 4e-6.
VITRAIL_INLINE float gelu_slope_coarse(float x) {
  constexpr float kEnd = 5.0f;
  const float u = clamped(x, -kEnd, kEnd), z = u * u * (2 / (kEnd * kEnd)) - 1.0f;
  const float p =
      detail::polynomial(z, 1.421333109e-01f, -7.509960652e-02f, 6.660979605e-02f, -7.208124327e-02f, 7.984733202e-02f,
                         -8.191297352e-02f, 8.234812656e-02f, -7.727716225e-02f, 4.781096421e-02f, -1.793597395e-02f,
                         2.113991240e-02f, -2.462507459e-02f, 9.043306186e-03f);
  return 0.5f + u * p;
}

VITRAIL_INLINE float tanh(float x) {
  const float t = abs(x);
  const float s = t < 0.64f ? x * x : 0.0f;
  const float near = x + x * s *
                             detail::polynomial(s, -3.333333312e-01f, 1.333329635e-01f, -5.395759516e-02f,
                                                2.175570046e-02f, -8.301695602e-03f, 2.246003883e-03f);
  const float far = 1.0f - 2.0f / (exp(2.0f * t) + 1.0f);
  return t < 0.64f ? near : __builtin_copysignf(far, x);
}
VITRAIL_INLINE double tanh(double x) { return std::tanh(x); }

template <class C>
VITRAIL_INLINE C sigmoid(C x) {
  return C(1) / (C(1) + exp(-x));
}

/// log(1 + e^x) for x <= 0.
VITRAIL_INLINE float log1p_exp(float x) {
  const float e = exp(x), u = 1.0f + e, d = u - 1.0f;
  return d == 0.0f ? e : log(u) * (e / d);  // e / d corrects the rounding of 1 + e
}
VITRAIL_INLINE double log1p_exp(double x) { return std::log1p(std::exp(x)); }

}  // namespace VITRAIL_ISA
}  // namespace vitrail::vec
