// Conv2d, the convolution layer.
#pragma once

#include "vitrail/nn/module.h"

namespace vitrail::nn {

struct Conv2dConfig {
  int64_t kernel = 3;
  int64_t stride = 1;
  int64_t padding = 0;
  bool bias = true;
  Init weight_init = init::kaiming_uniform();
};

/// Shape: x [B, in, H, W] -> [B, out, H', W'], H' = (H + 2 padding - kernel) / stride + 1.
struct Conv2d final : Module<Conv2d> {
  Conv2d(const Scope& scope, int64_t in, int64_t out, const Conv2dConfig& config)
      : Module(scope),
        weight(sub("weight"), {out, in, config.kernel, config.kernel}, config.weight_init),
        options{.stride = config.stride, .padding = config.padding} {
    if (config.bias) bias.emplace(sub("bias"), Shape{out}, init::kaiming_uniform(in * config.kernel * config.kernel));
  }

  Var forward(const Var& x) { return conv2d(x, weight, bias ? Var(*bias) : Var(), options); }

  Param weight;
  std::optional<Param> bias;
  ag::ConvOptions options;
};

}  // namespace vitrail::nn
