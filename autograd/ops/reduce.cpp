#include "vitrail/autograd/ops/reduce.h"

#include "vitrail/core/ops/activation.h"
#include "vitrail/core/ops/elementwise.h"
#include "vitrail/core/ops/indexing.h"

namespace vitrail::ag {
namespace {

Var reduced(const char* op, const Var& x, const Axes& axes, Tensor y, double factor) {
  return record(op, std::move(y), {x}, [shape = x.shape(), axes, factor](const Tensor& dy, Sink& dx) {
    const Tensor g = factor == 1 ? dy : core::affine(dy, factor);
    dx.add(0, core::spread(g, shape, axes));
  });
}

/// max or min along an axis, whose gradient goes to the chosen position.
MaxVar chosen(const char* op, const Var& x, int axis, bool keepdim, const core::MaxOut& out) {
  Var values = record(op, keepdim ? out.values : out.values.squeeze(axis), {x},
                      [axis, indices = out.indices, kept = out.values.shape()](const Tensor& dy, Sink& dx) {
                        core::scatter_add_(dx.buffer(0), axis, indices, dy.contiguous().reshape(kept));
                      });
  return {std::move(values), keepdim ? out.indices : out.indices.squeeze(axis)};
}

Var extreme(const char* op, const Var& x, const Axes& axes, bool keepdim, const Tensor& kept) {
  const Tensor y = keepdim ? kept : kept.reshape(core::reduced_shape(x.shape(), axes, false));
  return record(op, y, {x}, [x = x.value(), kept, axes](const Tensor& dy, Sink& dx) {
    dx.add(0, core::amax_backward(dy, x, kept, axes));
  });
}

/// dy / y, and 0 where y is 0.
Tensor quotient(const Tensor& dy, const Tensor& y) { return core::masked_fill(core::div(dy, y), core::eq(y, 0), 0); }

}  // namespace

Var sum(const Var& x, const Axes& axes, bool keepdim) {
  return reduced("sum", x, axes, core::sum(x.value(), axes, keepdim), 1);
}

Var mean(const Var& x, const Axes& axes, bool keepdim) {
  Tensor y = core::mean(x.value(), axes, keepdim);
  const double factor = x.value().numel() ? double(y.numel()) / double(x.value().numel()) : 0;
  return reduced("mean", x, axes, std::move(y), factor);
}

Var var(const Var& x, const Axes& axes, bool keepdim, double correction) {
  return record("var", core::var(x.value(), axes, keepdim, correction), {x},
                [x = x.value(), axes, correction](const Tensor& dy, Sink& dx) {
                  dx.add(0, core::var_backward(dy, x, axes, correction));
                });
}

Var stddev(const Var& x, const Axes& axes, bool keepdim, double correction) {
  Tensor y = core::stddev(x.value(), axes, keepdim, correction);
  return record("stddev", y, {x}, [x = x.value(), y, axes, correction](const Tensor& dy, Sink& dx) {
    dx.add(0, core::var_backward(core::affine(quotient(dy, y), 0.5), x, axes, correction));
  });
}

Var norm(const Var& x, const Axes& axes, bool keepdim) {
  Tensor y = core::norm(x.value(), axes, keepdim);
  return record("norm", y, {x}, [x = x.value(), y, axes](const Tensor& dy, Sink& dx) {
    dx.add(0, core::mul(core::spread(quotient(dy, y), x.shape(), axes), x));
  });
}

Var logsumexp(const Var& x, const Axes& axes, bool keepdim) {
  Tensor y = core::logsumexp(x.value(), axes, keepdim);
  return record("logsumexp", y, {x}, [x = x.value(), y, axes](const Tensor& dy, Sink& dx) {
    const Tensor share = core::exp(core::sub(x, core::spread(y, x.shape(), axes)));  // the softmax
    dx.add(0, core::mul(share, core::spread(dy, x.shape(), axes)));
  });
}

Var cumsum(const Var& x, int axis) {
  return record("cumsum", core::cumsum(x.value(), axis), {x},
                [axis](const Tensor& dy, Sink& dx) { dx.add(0, core::cumsum(dy, axis, true)); });
}

Var amax(const Var& x, const Axes& axes, bool keepdim) {
  return extreme("amax", x, axes, keepdim, core::amax(x.value(), axes, true));
}
Var amin(const Var& x, const Axes& axes, bool keepdim) {
  return extreme("amin", x, axes, keepdim, core::amin(x.value(), axes, true));
}
MaxVar max(const Var& x, int axis, bool keepdim) {
  return chosen("max", x, axis, keepdim, core::max(x.value(), axis, true));
}
MaxVar min(const Var& x, int axis, bool keepdim) {
  return chosen("min", x, axis, keepdim, core::min(x.value(), axis, true));
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
