#include "vitrail/autograd/ops.h"

namespace vitrail::ag {
namespace {

/// The shape of x with the reduced axes kept as size 1, to which dy is viewed before it is spread.
Shape kept(const Shape& shape, const std::vector<int>& axes) {
  Shape out = shape;
  if (axes.empty())
    for (int i = 0; i < shape.rank(); ++i) out = out.with(i, 1);
  for (int axis : axes) out = out.with(axis, 1);
  return out;
}

Var reduced(const char* op, const Var& x, const std::vector<int>& axes, Tensor y, double factor) {
  return record(op, std::move(y), {x}, [shape = x.shape(), axes, factor](const Tensor& dy, Sink& dx) {
    const Tensor g = factor == 1 ? dy : core::affine(dy, factor);
    dx.add(0, g.contiguous().reshape(kept(shape, axes)).expand(shape));
  });
}

}  // namespace

Var sum(const Var& x, const std::vector<int>& axes, bool keepdim) {
  return reduced("sum", x, axes, core::sum(x.value(), axes, keepdim), 1);
}

Var mean(const Var& x, const std::vector<int>& axes, bool keepdim) {
  Tensor y = core::mean(x.value(), axes, keepdim);
  const double factor = x.value().numel() ? double(y.numel()) / double(x.value().numel()) : 0;
  return reduced("mean", x, axes, std::move(y), factor);
}

Var softmax(const Var& x) {
  Tensor y = core::softmax(x.value());
  return record("softmax", y, {x}, [y](const Tensor& dy, Sink& dx) { dx.add(0, core::softmax_backward(dy, y)); });
}

Var log_softmax(const Var& x) {
  Tensor y = core::log_softmax(x.value());
  return record("log_softmax", y, {x},
                [y](const Tensor& dy, Sink& dx) { dx.add(0, core::log_softmax_backward(dy, y)); });
}

}  // namespace vitrail::ag
