#include "vitrail/nn/losses/sinkhorn.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"

namespace vitrail::nn {

Tensor sinkhorn_targets(const Tensor& scores, double temp, int64_t iterations) {
  check<ShapeError>(scores.rank() == 2, "sinkhorn", "scores are {}, they must be [N, K]", scores.shape());
  check<ConfigError>(temp > 0 && iterations > 0, "sinkhorn", "temp is {}, iterations {}; both must be positive", temp,
                     iterations);
  const Tensor z = scores.to(scores.dtype() == DType::f64 ? DType::f64 : DType::f32);
  Tensor q = core::exp(core::affine(core::sub(z, core::amax(z, {0}, /*keepdim=*/true)), 1 / temp));
  for (int64_t i = 0; i < iterations; ++i)
    for (const int axis : {0, 1}) q = core::div(q, core::sum(q, {axis}, /*keepdim=*/true));
  return q;
}

}  // namespace vitrail::nn
