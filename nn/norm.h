// Normalisation layers LayerNorm, RMSNorm and BatchNorm2d, and LayerScale, a learned gain.
#pragma once

#include "vitrail/nn/module.h"

namespace vitrail::nn {

/// Shape: x [..., dim] -> [..., dim]; bf16 under autocast unless out_dtype says otherwise.
/// Source: Ba et al. 2016 (arXiv:1607.06450).
struct LayerNorm final : Module<LayerNorm, Layer> {
  LayerNorm(const Scope& scope, int64_t dim, double epsilon = 1e-6)
      : Module(scope),
        weight(sub("weight"), {dim}, init::ones()),
        bias(sub("bias"), {dim}, init::zeros()),
        eps(epsilon) {}

  Var forward(const Var& x) override { return forward(x, std::nullopt); }
  Var forward(const Var& x, std::optional<DType> out_dtype) { return layer_norm(x, weight, bias, eps, out_dtype); }

  Param weight, bias;
  double eps;
};

/// x / sqrt(mean(x^2) + eps) * weight, the norm of Llama. Shape: x [..., dim] -> [..., dim].
/// Source: Zhang and Sennrich 2019 (arXiv:1910.07467).
struct RMSNorm final : Module<RMSNorm, Layer> {
  RMSNorm(const Scope& scope, int64_t dim, double epsilon = 1e-6)
      : Module(scope), weight(sub("weight"), {dim}, init::ones()), eps(epsilon) {}

  Var forward(const Var& x) override { return rms_norm(x, weight, eps); }

  Param weight;
  double eps;
};

/// A learned gain on a branch, small at the start. Shape: x [..., dim] -> [..., dim].
/// Source: Touvron et al. 2021 (arXiv:2103.17239).
struct LayerScale final : Module<LayerScale> {
  LayerScale(const Scope& scope, int64_t dim, double init_value)
      : Module(scope), gamma(sub("gamma"), {dim}, init::constant(init_value)) {}

  Var forward(const Var& x) { return x * Var(gamma); }

  Param gamma;
};

/// Normalises each channel of x [B, channels, H, W]: by batch statistics in training, by running averages in
/// evaluation. Training updates the averages; as in PyTorch, the running variance is unbiased.
/// Source: Ioffe and Szegedy 2015 (arXiv:1502.03167).
struct BatchNorm2d final : Module<BatchNorm2d> {
  BatchNorm2d(const Scope& scope, int64_t channels, double weight_init = 1);

  Var forward(const Var& x);

  Param weight, bias;
  Buffer running_mean, running_var;
  double eps = 1e-5;
  double momentum = 0.1;
};

/// The running averages that a forward pass of the model moves: those of each BatchNorm2d in training mode.
std::vector<Tensor*> running_averages(ModuleBase& model);

}  // namespace vitrail::nn
