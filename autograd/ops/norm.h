// Differentiable normalisation.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/norm.h"

#include <functional>
#include <optional>

namespace vitrail::ag {

/// out_dtype: of the result; else bf16 under autocast, as x without.
Var layer_norm(const Var& x, const Var& weight, const Var& bias, double eps, std::optional<DType> out_dtype = {});
Var rms_norm(const Var& x, const Var& weight, double eps);
/// Batch statistics; on_statistics(mean, biased variance) feeds the running averages.
Var batch_norm_train(const Var& x, const Var& weight, const Var& bias, double eps,
                     const std::function<void(const Tensor& mean, const Tensor& var)>& on_statistics);
Var batch_norm_eval(const Var& x, const Var& weight, const Var& bias, const Tensor& mean, const Tensor& var,
                    double eps);
Var l2_normalize(const Var& x, double eps = 1e-12);

}  // namespace vitrail::ag
