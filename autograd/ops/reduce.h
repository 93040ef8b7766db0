// Differentiable sums, extremes and softmax.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/reduce.h"

#include <vector>

namespace vitrail::ag {

Var sum(const Var& x, const std::vector<int>& axes = {}, bool keepdim = false);
Var mean(const Var& x, const std::vector<int>& axes = {}, bool keepdim = false);
Var softmax(const Var& x);
Var log_softmax(const Var& x);

}  // namespace vitrail::ag
