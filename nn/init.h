// Initial values of weights. Each rule is a function of the shape and of a generator that belongs to the weight's full
// name, so values do not depend on the order of construction or on other parts of the model.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/core/tensor.h"

#include <functional>

namespace vitrail::nn {

using Init = std::function<Tensor(const Shape& shape, DType dtype, Rng& rng)>;

namespace init {

/// The same value everywhere, or N(0, std^2).
Init zeros();
Init ones();
Init constant(double value);
Init normal(double std);
/// Normal with deviation std, redrawn outside [-bound, bound]. timm and DINO use std 0.02 and bound 2, which never
/// cuts.
Init trunc_normal(double std, double bound = 2.0);
/// U(-bound, bound).
Init uniform(double bound);
/// U(+-sqrt(6 / (fan_in + fan_out))) of an [out, in, ...] weight. Glorot and Bengio 2010.
Init xavier_uniform();
/// U(+-1 / sqrt(fan_in)): the default of PyTorch's linear and convolution layers (Kaiming uniform with a = sqrt(5)).
/// fan_in: 0 takes it from the shape; a bias needs the fan-in of its layer.
Init kaiming_uniform(int64_t fan_in = 0);
/// N(0, 2 / fan_out) of an [out, in, kh, kw] weight, for ResNets. He et al. 2015.
Init kaiming_normal_fan_out();

}  // namespace init
}  // namespace vitrail::nn
