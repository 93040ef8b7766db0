// Differentiable functions of one element, dropout and stochastic depth.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/activation.h"

namespace vitrail::ag {

using core::Gelu;

/// One element at a time: x [...] -> [...]. Definitions as in core/ops/activation.h, with a gradient.
Var exp(const Var& x);
Var log(const Var& x);
Var sqrt(const Var& x);
Var tanh(const Var& x);
Var sigmoid(const Var& x);
Var abs(const Var& x);
Var square(const Var& x);
Var rsqrt(const Var& x);
Var pow(const Var& x, double exponent);
Var erf(const Var& x);
Var sin(const Var& x);
Var cos(const Var& x);
Var clamp(const Var& x, double low, double high);

/// Definitions and sources as in core/ops/activation.h: x [...] -> [...]; swiglu [..., 2H] -> [..., H].
Var relu(const Var& x);
Var leaky_relu(const Var& x, double slope = 0.01);
Var softplus(const Var& x);
Var silu(const Var& x);
Var gelu(const Var& x, Gelu kind = Gelu::erf);
Var swiglu(const Var& x);

/// Keeps each element with probability 1 - p and divides it by 1 - p. Srivastava et al. 2014.
Var dropout(const Var& x, double p);
/// Drops whole samples (axis 0) of x [B, ...] with probability p. Huang et al. 2016 (arXiv:1603.09382).
Var drop_path(const Var& x, double p);

}  // namespace vitrail::ag
