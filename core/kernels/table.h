// The row kernels: loops over dense runs of one compute type, without threads, shapes or strides. core/kernels/loops/
// has them. For float they are compiled once for each instruction set, and the program picks the best one that the
// machine has. For double they are compiled once. VITRAIL_ISA=x86-64-v3 in the environment asks for the lesser set.
#pragma once

#include "vitrail/core/dtype.h"

#include <cstdint>

namespace vitrail::kernels {

/// n is always the length of the run. y may be one of the inputs.
template <class C>
struct Table {
  using Map = void (*)(const C* x, C* y, int64_t n);                        // y = f(x)
  using MapBackward = void (*)(const C* dy, const C* x, C* dx, int64_t n);  // dx = dy f'(x)
  using Map2 = void (*)(const C* a, const C* b, C* y, int64_t n);

  // One element at a time.
  Map neg, exp, log, sqrt, tanh, sigmoid, abs, square, rsqrt, erf, sin, cos, softplus, relu, silu, gelu_erf,
      gelu_erf_coarse, gelu_tanh, gelu_quick;
  MapBackward abs_backward, square_backward, rsqrt_backward, erf_backward, sin_backward, cos_backward,
      softplus_backward, relu_backward, silu_backward, gelu_erf_backward, gelu_erf_coarse_backward, gelu_tanh_backward,
      gelu_quick_backward;
  void (*pow)(const C* x, C exponent, C* y, int64_t n);
  void (*pow_backward)(const C* dy, const C* x, C exponent, C* dx, int64_t n);
  void (*leaky_relu)(const C* x, C slope, C* y, int64_t n);
  void (*leaky_relu_backward)(const C* dy, const C* x, C slope, C* dx, int64_t n);
  void (*clamp)(const C* x, C low, C high, C* y, int64_t n);
  void (*clamp_backward)(const C* dy, const C* x, C low, C high, C* dx, int64_t n);
  Map2 mul, div, maximum, minimum;
  void (*maximum_backward)(const C* dy, const C* a, const C* b, C* da, int64_t n);
  void (*affine)(const C* x, C factor, C offset, C* y, int64_t n);             // factor x + offset
  void (*blend)(const C* a, C s, const C* b, C t, C offset, C* y, int64_t n);  // s a + t b + offset
  void (*lerp)(const C* a, const C* b, C t, C* y, int64_t n);                  // a + t (b - a)
  void (*where)(const C* mask, const C* a, const C* b, C* y, int64_t n);
  Map2 swiglu;  // silu(a) b
  void (*swiglu_backward)(const C* dy, const C* a, const C* b, C* da, C* db, int64_t n);

  // Sums, in double.
  double (*sum)(const C* x, int64_t n);
  double (*dot)(const C* a, const C* b, int64_t n);
  double (*squared_distance)(const C* x, C centre, int64_t n);  // sum of (x - centre)^2
  void (*accumulate)(const C* x, double* total, int64_t n);     // total += x
  bool (*all_finite)(const C* x, int64_t n);

  // One row.
  Map softmax, log_softmax;
  C (*scaled_max)(const C* x, C scale, int64_t n);
  C (*scaled_exp)(C* x, C scale, C top, int64_t n);  // x = e^(scale x - top); the sum
  void (*softmax_again)(C* x, C scale, C log_total, int64_t n);
  Map2 softmax_backward, log_softmax_backward;  // (dy, y, dx)
  void (*softmax_scaled_backward)(const C* dy, const C* y, C scale, C* dx, int64_t n);
  void (*exp_affine)(const C* x, C factor, C offset, C* y, int64_t n);  // factor e^x + offset
  void (*layer_norm)(const C* x, const C* w, const C* b, C eps, C* y, C* mean, C* rstd, int64_t n);
  void (*rms_norm)(const C* x, const C* w, C eps, C* y, C* rstd, int64_t n);
  /// Writes dx and adds the row's share to dw and db.
  void (*layer_norm_backward)(const C* dy, const C* x, const C* w, C mean, C rstd, C* dx, C* dw, C* db, int64_t n);
  void (*rms_norm_backward)(const C* dy, const C* x, const C* w, C rstd, C* dx, C* dw, int64_t n);
  /// Sum of the binary cross entropies between sigmoid(x) and t, and the derivative of each by x, times factor.
  double (*bce)(const C* x, const C* t, int64_t n);
  void (*bce_backward)(const C* x, const C* t, C factor, C* dx, int64_t n);

  // bf16 to and from the compute type.
  void (*widen)(const bf16* x, C* y, int64_t n);
  void (*narrow)(const C* x, C factor, bf16* y, int64_t n);  // y = factor x
};

/// C is float or double.
template <class C>
const Table<C>& table();
template <>
const Table<float>& table<float>();
template <>
const Table<double>& table<double>();

}  // namespace vitrail::kernels
