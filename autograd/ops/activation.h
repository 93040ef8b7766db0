// Differentiable functions of one element, dropout and stochastic depth.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/activation.h"

namespace vitrail::ag {

using core::Gelu;

Var exp(const Var& x);
Var log(const Var& x);
Var sqrt(const Var& x);
Var tanh(const Var& x);
Var sigmoid(const Var& x);
Var relu(const Var& x);
Var silu(const Var& x);
Var gelu(const Var& x, Gelu kind = Gelu::erf);
Var swiglu(const Var& x);
/// Each element is kept with probability 1 - p and divided by it. Srivastava et al. 2014.
Var dropout(const Var& x, double p);
/// Drops whole samples (axis 0) of x [B, ...] with probability p. Huang et al. 2016 (arXiv:1603.09382).
Var drop_path(const Var& x, double p);

}  // namespace vitrail::ag
