// Linear: y = x weight' + bias.
#pragma once

#include "vitrail/nn/module.h"

namespace vitrail::nn {

struct LinearConfig {
  bool bias = true;
  Init weight_init = init::trunc_normal(0.02);  // transformers; PyTorch's layers use init::kaiming_uniform()
  Init bias_init = init::zeros();
};

/// Shape: x [..., in] -> [..., out]. Throws ShapeError if the last axis of x is not in.
struct Linear final : Module<Linear> {
  Linear(const Scope& scope, int64_t in, int64_t out, const LinearConfig& config = {})
      : Module(scope), weight(sub("weight"), {out, in}, config.weight_init) {
    if (config.bias) bias.emplace(sub("bias"), Shape{out}, config.bias_init);
  }

  /// out_dtype: f32 where the result joins the residual stream or a loss under autocast.
  Var forward(const Var& x, std::optional<DType> out_dtype = {}) {
    return linear(x, weight, bias ? Var(*bias) : Var(), out_dtype);
  }

  Param weight;
  std::optional<Param> bias;
};

}  // namespace vitrail::nn
