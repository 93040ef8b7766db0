// Differentiable normalisation.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/norm.h"

#include <functional>
#include <optional>

namespace vitrail::ag {

/// out_dtype is the type of the result. The default is bf16 under autocast and x's type otherwise.
Var layer_norm(const Var& x, const Var& weight, const Var& bias, double eps, std::optional<DType> out_dtype = {});
/// As core::rms_norm(); the result is bf16 under autocast, as that of layer_norm.
Var rms_norm(const Var& x, const Var& weight, double eps);
/// By batch statistics. Calls on_statistics(mean, biased variance), which may update running averages.
Var batch_norm_train(const Var& x, const Var& weight, const Var& bias, double eps,
                     const std::function<void(const Tensor& mean, const Tensor& var)>& on_statistics);
/// By given statistics, as core::batch_norm_eval().
Var batch_norm_eval(const Var& x, const Var& weight, const Var& bias, const Tensor& mean, const Tensor& var,
                    double eps);
/// Normalises each of `groups` groups of channels of one sample, then scales and shifts by channel.
/// Shape:  x [B, C, ...], C a multiple of groups, weight [C], bias [C] -> as x, in x's type.
/// Source: Wu and He 2018 (arXiv:1803.08494), eq. 7; biased variance.
Var group_norm(const Var& x, int64_t groups, const Var& weight, const Var& bias, double eps = 1e-5);
/// x / max(norm, eps) over the last axis.
Var l2_normalize(const Var& x, double eps = 1e-12);

}  // namespace vitrail::ag
