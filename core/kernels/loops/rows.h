// Sums, softmax, normalisation and losses over one row.
#pragma once

#include "vitrail/core/dtype.h"
#include "vitrail/core/kernels/vec_math.h"

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
    const C e = vec::exp(x[i] - top);
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
  for (int64_t i = 0; i < n; ++i) total += vec::exp(x[i] - top);
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
    const C e = vec::exp(scale * x[i] - top);
    x[i] = e;
    total += e;
  }
  return total;
}
/// Their result from the logarithm of the sum of e^(scale x).
template <class C>
void softmax_again(C* x, C scale, C log_total, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) x[i] = vec::exp(scale * x[i] - log_total);
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
  const C total = C(dot(dy, y, n));
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
  const C m = C(sum(x, n) / double(n));
  const C r = C(1 / vec::sqrt(squared_distance(x, m, n) / double(n) + double(eps)));
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - m) * r * w[i] + b[i];
  *mean = m;
  *rstd = r;
}
/// With g = dy w and h = (x - mean) rstd: dx = rstd (g - mean(g) - h mean(g h)).
template <class C>
void layer_norm_backward(const C* dy, const C* x, const C* w, C mean, C rstd, C* dx, C* dw, C* db, int64_t n) {
  double sum_g = 0, sum_gh = 0;
#pragma omp simd reduction(+ : sum_g, sum_gh)
  for (int64_t i = 0; i < n; ++i) {
    const C h = (x[i] - mean) * rstd, g = dy[i] * w[i];
    sum_g += double(g);
    sum_gh += double(g) * double(h);
  }
  const C mean_g = C(sum_g / double(n)), mean_gh = C(sum_gh / double(n));
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
  const C r = C(1 / vec::sqrt(dot(x, x, n) / double(n) + double(eps)));
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] * r * w[i];
  *rstd = r;
}
/// With g = dy w and h = x rstd: dx = rstd (g - h mean(g h)).
template <class C>
void rms_norm_backward(const C* dy, const C* x, const C* w, C rstd, C* dx, C* dw, int64_t n) {
  double sum_gh = 0;
#pragma omp simd reduction(+ : sum_gh)
  for (int64_t i = 0; i < n; ++i) sum_gh += double(dy[i] * w[i]) * double(x[i] * rstd);
  const C mean_gh = C(sum_gh / double(n));
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
/// Rounds to nearest, ties to even; NaN stays NaN. The same bits as bf16(float), without a call.
template <class C>
void narrow(const C* x, bf16* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t u = __builtin_bit_cast(uint32_t, float(x[i]));
    const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16, nan = (u >> 16) | 0x40u;
    y[i].bits = uint16_t((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
  }
}

}  // namespace VITRAIL_ISA
}  // namespace vitrail::loops
