#include "vitrail/autograd/macs.h"
#include "vitrail/autograd/ops/image.h"
#include "vitrail/core/ops/reduce.h"

namespace vitrail::ag {

Var conv2d(const Var& x, const Var& weight, const Var& bias, const ConvOptions& options) {
  Tensor y = core::conv2d(x.value(), weight.value(), bias.value(), options);
  count_macs(y.numel() * weight.value().numel() / std::max<int64_t>(weight.size(0), 1));
  return record("conv2d", std::move(y), {x, weight, bias},
                [x = x.value(), w = weight.value(), options](const Tensor& dy, Sink& dx) {
                  if (dx.wants(0)) dx.add(0, core::conv2d_backward_input(dy, w, x.shape(), options));
                  if (dx.wants(1)) dx.add(1, core::conv2d_backward_weight(dy, x, w.shape(), options));
                  if (dx.wants(2)) dx.add(2, core::sum(dy.to(w.dtype()), {0, 2, 3}));
                });
}

Var max_pool2d(const Var& x, int64_t size, int64_t stride, int64_t padding) {
  core::MaxOut out = core::max_pool2d(x.value(), size, stride, padding);
  return record("max_pool2d", out.values, {x}, [indices = out.indices, shape = x.shape()](const Tensor& dy, Sink& dx) {
    dx.add(0, core::max_pool2d_backward(dy, indices, shape));
  });
}

Var avg_pool2d(const Var& x, int64_t size, int64_t stride, int64_t padding) {
  return record("avg_pool2d", core::avg_pool2d(x.value(), size, stride, padding), {x},
                [shape = x.shape(), size, stride, padding](const Tensor& dy, Sink& dx) {
                  dx.add(0, core::avg_pool2d_backward(dy, shape, size, stride, padding));
                });
}

}  // namespace vitrail::ag
