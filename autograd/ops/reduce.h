// Differentiable sums, extremes, statistics and softmax. An empty list of axes means all of them.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/reduce.h"

namespace vitrail::ag {

/// Over axes, or over all if there are none. keepdim leaves each reduced axis with size 1.
Var sum(const Var& x, const Axes& axes = {}, bool keepdim = false);
Var mean(const Var& x, const Axes& axes = {}, bool keepdim = false);
/// correction 1 divides by count - 1, as PyTorch does.
Var var(const Var& x, const Axes& axes = {}, bool keepdim = false, double correction = 1);
/// torch.std. The gradient is 0 where the deviation is 0.
Var stddev(const Var& x, const Axes& axes = {}, bool keepdim = false, double correction = 1);
/// Euclidean norm. The gradient is 0 where the norm is 0.
Var norm(const Var& x, const Axes& axes = {}, bool keepdim = false);
/// log(sum(exp(x))) over axes.
Var logsumexp(const Var& x, const Axes& axes = {}, bool keepdim = false);
/// Sums of the elements up to each place along axis.
Var cumsum(const Var& x, int axis);

/// The extreme over axes. Equal extremes share the gradient evenly, as torch.amax does.
Var amax(const Var& x, const Axes& axes = {}, bool keepdim = false);
Var amin(const Var& x, const Axes& axes = {}, bool keepdim = false);
/// The extreme along one axis and its position, i64. The gradient goes to that position, as in torch.max(x, axis).
struct MaxVar {
  Var values;
  Tensor indices;
};
MaxVar max(const Var& x, int axis, bool keepdim = false);
MaxVar min(const Var& x, int axis, bool keepdim = false);

/// Over the last axis.
Var softmax(const Var& x);
Var log_softmax(const Var& x);

}  // namespace vitrail::ag
