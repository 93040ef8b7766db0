// Functions of one element. A *_backward function returns dx from dy and the x of the forward.
#pragma once

#include "vitrail/core/tensor.h"

namespace vitrail::core {

enum class Gelu { erf, tanh, quick };  // exact; the tanh approximation; x * sigmoid(1.702 x)

/// x [...] -> [...] in x's type. log and sqrt of a negative x are NaN, log of 0 is -infinity.
Tensor neg(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);

/// Absolute value: [...] -> [...].
Tensor abs(const Tensor& x);
/// dy sign(x), and 0 where x is 0.
Tensor abs_backward(const Tensor& dy, const Tensor& x);
/// x^2.
Tensor square(const Tensor& x);
Tensor square_backward(const Tensor& dy, const Tensor& x);
/// 1 / sqrt(x).
Tensor rsqrt(const Tensor& x);
Tensor rsqrt_backward(const Tensor& dy, const Tensor& x);
/// x^exponent; NaN for a negative x and an exponent that is not whole.
Tensor pow(const Tensor& x, double exponent);
Tensor pow_backward(const Tensor& dy, const Tensor& x, double exponent);
/// Error function, sine and cosine of x in radians.
Tensor erf(const Tensor& x);
Tensor erf_backward(const Tensor& dy, const Tensor& x);
Tensor sin(const Tensor& x);
Tensor sin_backward(const Tensor& dy, const Tensor& x);
Tensor cos(const Tensor& x);
Tensor cos_backward(const Tensor& dy, const Tensor& x);
/// min(max(x, low), high); NaN stays NaN. The gradient is dy where low <= x <= high, else 0. An infinite limit is none.
Tensor clamp(const Tensor& x, double low, double high);
Tensor clamp_backward(const Tensor& dy, const Tensor& x, double low, double high);

/// max(x, 0); the gradient at 0 is 0.
Tensor relu(const Tensor& x);
Tensor relu_backward(const Tensor& dy, const Tensor& x);
/// x where x > 0, else slope * x. Maas et al. 2013.
Tensor leaky_relu(const Tensor& x, double slope = 0.01);
Tensor leaky_relu_backward(const Tensor& dy, const Tensor& x, double slope = 0.01);
/// log(1 + e^x).
Tensor softplus(const Tensor& x);
Tensor softplus_backward(const Tensor& dy, const Tensor& x);
/// x sigmoid(x).
Tensor silu(const Tensor& x);
Tensor silu_backward(const Tensor& dy, const Tensor& x);
/// Hendrycks and Gimpel 2016 (arXiv:1606.08415).
Tensor gelu(const Tensor& x, Gelu kind = Gelu::erf);
Tensor gelu_backward(const Tensor& dy, const Tensor& x, Gelu kind = Gelu::erf);
/// SiLU(a) * b where x = [a | b] along the last axis. x [..., 2H] -> [..., H]. Shazeer 2020 (arXiv:2002.05202).
Tensor swiglu(const Tensor& x);
Tensor swiglu_backward(const Tensor& dy, const Tensor& x);

}  // namespace vitrail::core
