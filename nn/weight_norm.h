// WeightNormLinear: a linear layer with its weight as a length and a direction for each output.
#pragma once

#include "vitrail/nn/module.h"

namespace vitrail::nn {

/// y = x W' with W_k = weight_g_k weight_v_k / |weight_v_k|, no bias; f32 under autocast for the loss.
/// Shape:  x [..., in] -> [..., out]; weight_g [out, 1], weight_v [out, in].
/// Source: Salimans and Kingma 2016 (arXiv:1602.07868); parameter names as in PyTorch. weight_g starts at 1.
struct WeightNormLinear final : Module<WeightNormLinear> {
  WeightNormLinear(const Scope& scope, int64_t in, int64_t out)
      : Module(scope),
        weight_g(sub("weight_g"), {out, 1}, init::ones()),
        weight_v(sub("weight_v"), {out, in}, init::kaiming_uniform()) {}

  Var forward(const Var& x) { return weight_norm_linear(x, weight_v, weight_g); }

  Param weight_g, weight_v;
};

}  // namespace vitrail::nn
