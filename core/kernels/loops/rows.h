// Sums, softmax, normalisation and losses over one row.
#pragma once

#include "vitrail/core/dtype.h"
#include "vitrail/core/kernels/vec_math.h"

#include <cstring>
#include <type_traits>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace vitrail::loops {
inline namespace VITRAIL_ISA {

template <class C>
double sum(const C* x, int64_t n) {
  double total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < n; ++i) total += double(x[i]);
  return total;
}
template <class C>
double dot(const C* a, const C* b, int64_t n) {
  double total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < n; ++i) total += double(a[i]) * double(b[i]);
  return total;
}
template <class C>
double squared_distance(const C* x, C centre, int64_t n) {
  double total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < n; ++i) total += double(x[i] - centre) * double(x[i] - centre);
  return total;
}
/// The sum of term(i) for i < n in C. Many partial sums, four vectors of them, keep the unit busy and the rounding
/// error at a few units in the last place.
template <class C, class Term>
VITRAIL_INLINE C partial_sum(int64_t n, Term&& term) {
  constexpr int64_t kSums = 256 / sizeof(C);
  C sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums <= n; i += kSums)
#pragma omp simd
    for (int64_t j = 0; j < kSums; ++j) sums[j] += term(i + j);
#pragma omp simd
  for (int64_t j = 0; j < n - i; ++j) sums[j] += term(i + j);
  constexpr int64_t kVector = kSums / 4;
  C total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t j = 0; j < kVector; ++j)
    total += (sums[j] + sums[j + kVector]) + (sums[j + 2 * kVector] + sums[j + 3 * kVector]);
  return total;
}
template <class C>
void accumulate(const C* x, double* total, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) total[i] += double(x[i]);
}
template <class C>
bool all_finite(const C* x, int64_t n) {
  C worst = 0;
#pragma omp simd reduction(+ : worst)
  for (int64_t i = 0; i < n; ++i) worst += x[i] * 0;  // 0, or NaN for an infinity or a NaN
  return worst == 0;
}

template <class C>
VITRAIL_INLINE C largest(const C* x, int64_t n) {
  C top = -C(__builtin_inf());
#pragma omp simd reduction(max : top)
  for (int64_t i = 0; i < n; ++i) top = x[i] > top ? x[i] : top;
  return top;
}
template <class C>
void softmax(const C* x, C* y, int64_t n) {
  const C top = largest(x, n);
  C total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < n; ++i) {
    const C e = vec::exp_bounded(x[i] - top);
    y[i] = e;
    total += e;
  }
  const C factor = 1 / total;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] *= factor;
}
template <class C>
void log_softmax(const C* x, C* y, int64_t n) {
  const C top = largest(x, n);
  C total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < n; ++i) total += vec::exp_bounded(x[i] - top);
  const C log_total = vec::log(total);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - top) - log_total;
}
/// The softmax of attention in two steps, so that the work of many rows overlaps. Returns the largest scale x. Then x =
/// e^(scale x - top), and returns the sum.
template <class C>
C scaled_max(const C* x, C scale, int64_t n) {
  C top = -C(__builtin_inf());
#pragma omp simd reduction(max : top)
  for (int64_t i = 0; i < n; ++i) top = scale * x[i] > top ? scale * x[i] : top;
  return top;
}
template <class C>
C scaled_exp(C* x, C scale, C top, int64_t n) {
  C total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < n; ++i) {
    const C e = vec::exp_bounded(scale * x[i] - top);
    x[i] = e;
    total += e;
  }
  return total;
}
/// Their result from the logarithm of the sum of e^(scale x).
template <class C>
void softmax_again(C* x, C scale, C log_total, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) x[i] = vec::exp_bounded(scale * x[i] - log_total);
}
/// y (dy - sum(dy y)).
template <class C>
void softmax_backward(const C* dy, const C* y, C* dx, int64_t n) {
  const C total = C(dot(dy, y, n));
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) dx[i] = y[i] * (dy[i] - total);
}
/// scale y (dy - sum(dy y)).
template <class C>
void softmax_scaled_backward(const C* dy, const C* y, C scale, C* dx, int64_t n) {
  const C total = partial_sum<C>(n, [&](int64_t i) { return dy[i] * y[i]; });
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) dx[i] = scale * y[i] * (dy[i] - total);
}
/// dy - e^y sum(dy).
template <class C>
void log_softmax_backward(const C* dy, const C* y, C* dx, int64_t n) {
  const C total = C(sum(dy, n));
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) dx[i] = dy[i] - vec::exp(y[i]) * total;
}
template <class C>
void exp_affine(const C* x, C factor, C offset, C* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = factor * vec::exp(x[i]) + offset;
}

template <class C>
void layer_norm(const C* x, const C* w, const C* b, C eps, C* y, C* mean, C* rstd, int64_t n) {
  const C m = partial_sum<C>(n, [&](int64_t i) { return x[i]; }) / C(n);
  const C variance = partial_sum<C>(n, [&](int64_t i) { return (x[i] - m) * (x[i] - m); }) / C(n);
  const C r = 1 / vec::sqrt(variance + eps);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - m) * r * w[i] + b[i];
  *mean = m;
  *rstd = r;
}
/// With g = dy w and h = (x - mean) rstd: dx = rstd (g - mean(g) - h mean(g h)).
template <class C>
void layer_norm_backward(const C* dy, const C* x, const C* w, C mean, C rstd, C* dx, C* dw, C* db, int64_t n) {
  const C mean_g = partial_sum<C>(n, [&](int64_t i) { return dy[i] * w[i]; }) / C(n);
  const C mean_gh = partial_sum<C>(n, [&](int64_t i) { return dy[i] * w[i] * ((x[i] - mean) * rstd); }) / C(n);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const C d = dy[i], h = (x[i] - mean) * rstd;
    dw[i] += d * h;
    db[i] += d;
    dx[i] = rstd * (d * w[i] - mean_g - h * mean_gh);
  }
}

template <class C>
void rms_norm(const C* x, const C* w, C eps, C* y, C* rstd, int64_t n) {
  const C r = 1 / vec::sqrt(partial_sum<C>(n, [&](int64_t i) { return x[i] * x[i]; }) / C(n) + eps);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] * r * w[i];
  *rstd = r;
}
/// With g = dy w and h = x rstd: dx = rstd (g - h mean(g h)).
template <class C>
void rms_norm_backward(const C* dy, const C* x, const C* w, C rstd, C* dx, C* dw, int64_t n) {
  const C mean_gh = partial_sum<C>(n, [&](int64_t i) { return dy[i] * w[i] * (x[i] * rstd); }) / C(n);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const C d = dy[i], h = x[i] * rstd;
    dw[i] += d * h;
    dx[i] = rstd * (d * w[i] - h * mean_gh);
  }
}

template <class C>
double bce(const C* x, const C* t, int64_t n) {
  double total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < n; ++i) total += double(vec::max(x[i], C(0)) - x[i] * t[i] + vec::log1p_exp(-vec::abs(x[i])));
  return total;
}
template <class C>
void bce_backward(const C* x, const C* t, C factor, C* dx, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) dx[i] = factor * (vec::sigmoid(x[i]) - t[i]);
}

template <class C>
void widen(const bf16* x, C* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = C(__builtin_bit_cast(float, uint32_t(x[i].bits) << 16));
}
/// y = factor x, rounded to nearest, ties to even; NaN stays NaN. The same bits as bf16(float), without a call, for
/// normal numbers.
template <class C>
VITRAIL_INLINE void narrow(const C* x, C factor, bf16* y, int64_t n) {
  int64_t done = 0;
#ifdef __AVX512BF16__
  // The instruction turns numbers below the smallest normal one, 1.2e-38, into zeros.
  if constexpr (std::is_same_v<C, float>) {
    const auto vector = [&](int64_t i) { return _mm512_loadu_ps(x + i) * factor; };
    for (; done + 32 <= n; done += 32) {
      const auto line = _mm512_cvtne2ps_pbh(vector(done + 16), vector(done));
      std::memcpy(static_cast<void*>(y + done), &line, sizeof line);
    }
    for (; done + 16 <= n; done += 16) {
      const auto line = _mm512_cvtneps_pbh(vector(done));
      std::memcpy(static_cast<void*>(y + done), &line, sizeof line);
    }
  }
#endif
#pragma omp simd
  for (int64_t i = done; i < n; ++i) {
    const uint32_t u = __builtin_bit_cast(uint32_t, float(factor * x[i]));
    const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16, nan = (u >> 16) | 0x40u;
    y[i].bits = uint16_t((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
  }
}

}  // namespace VITRAIL_ISA
}  // namespace vitrail::loops
