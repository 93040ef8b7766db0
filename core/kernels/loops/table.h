// The table of row kernels filled with the loops of this folder.
#pragma once

#include "vitrail/core/kernels/loops/elementwise.h"
#include "vitrail/core/kernels/loops/rows.h"
#include "vitrail/core/kernels/table.h"

namespace vitrail::loops {
inline namespace VITRAIL_ISA {

template <class C>
constexpr kernels::Table<C> make_table() {
  return {
      .neg = map<C, neg<C>>,
      .exp = map<C, exp<C>>,
      .log = map<C, log<C>>,
      .sqrt = map<C, sqrt<C>>,
      .tanh = map<C, tanh<C>>,
      .sigmoid = map<C, sigmoid<C>>,
      .abs = map<C, abs<C>>,
      .square = map<C, square<C>>,
      .rsqrt = map<C, rsqrt<C>>,
      .erf = map<C, erf<C>>,
      .sin = map<C, sin<C>>,
      .cos = map<C, cos<C>>,
      .softplus = map<C, softplus<C>>,
      .relu = map<C, relu<C>>,
      .silu = map<C, silu<C>>,
      .gelu_erf = map<C, gelu_erf<C>>,
      .gelu_erf_coarse = map<C, gelu_erf_coarse<C>>,
      .gelu_tanh = map<C, gelu_tanh<C>>,
      .gelu_quick = map<C, gelu_quick<C>>,
      .abs_backward = map_backward<C, abs_slope<C>>,
      .square_backward = map_backward<C, square_slope<C>>,
      .rsqrt_backward = map_backward<C, rsqrt_slope<C>>,
      .erf_backward = map_backward<C, erf_slope<C>>,
      .sin_backward = map_backward<C, sin_slope<C>>,
      .cos_backward = map_backward<C, cos_slope<C>>,
      .softplus_backward = map_backward<C, softplus_slope<C>>,
      .relu_backward = map_backward<C, relu_slope<C>>,
      .silu_backward = map_backward<C, silu_slope<C>>,
      .gelu_erf_backward = map_backward<C, gelu_erf_slope<C>>,
      .gelu_erf_coarse_backward = map_backward<C, gelu_erf_coarse_slope<C>>,
      .gelu_tanh_backward = map_backward<C, gelu_tanh_slope<C>>,
      .gelu_quick_backward = map_backward<C, gelu_quick_slope<C>>,
      .pow = pow<C>,
      .pow_backward = pow_backward<C>,
      .leaky_relu = leaky_relu<C>,
      .leaky_relu_backward = leaky_relu_backward<C>,
      .clamp = clamp<C>,
      .clamp_backward = clamp_backward<C>,
      .mul = map2<C, mul<C>>,
      .div = map2<C, div<C>>,
      .maximum = map2<C, maximum<C>>,
      .minimum = map2<C, minimum<C>>,
      .maximum_backward = maximum_backward<C>,
      .affine = affine<C>,
      .blend = blend<C>,
      .lerp = lerp<C>,
      .where = where<C>,
      .swiglu = map2<C, swiglu<C>>,
      .swiglu_backward = swiglu_backward<C>,
      .sum = sum<C>,
      .dot = dot<C>,
      .squared_distance = squared_distance<C>,
      .accumulate = accumulate<C>,
      .all_finite = all_finite<C>,
      .softmax = softmax<C>,
      .log_softmax = log_softmax<C>,
      .scaled_max = scaled_max<C>,
      .scaled_exp = scaled_exp<C>,
      .softmax_again = softmax_again<C>,
      .softmax_backward = softmax_backward<C>,
      .log_softmax_backward = log_softmax_backward<C>,
      .softmax_scaled_backward = softmax_scaled_backward<C>,
      .exp_affine = exp_affine<C>,
      .layer_norm = layer_norm<C>,
      .rms_norm = rms_norm<C>,
      .layer_norm_backward = layer_norm_backward<C>,
      .rms_norm_backward = rms_norm_backward<C>,
      .bce = bce<C>,
      .bce_backward = bce_backward<C>,
      .widen = widen<C>,
      .narrow = narrow<C>,
  };
}

}  // namespace VITRAIL_ISA
}  // namespace vitrail::loops
