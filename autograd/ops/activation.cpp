#include "vitrail/autograd/ops/activation.h"

#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops/elementwise.h"

namespace vitrail::ag {
namespace {

/// x times a random mask of 0 and 1 / (1 - p), which broadcasts to x.
Var masked(const char* op, const Var& x, const Shape& mask_shape, double p) {
  check<ConfigError>(p >= 0 && p < 1, op, "the probability of dropping is {}, outside [0, 1)", p);
  if (p == 0) return x;
  Tensor mask = RandomScope::next().bernoulli(mask_shape, 1 - p, x.dtype());
  core::scale_(mask, 1 / (1 - p));
  return record(op, core::mul(x.value(), mask), {x},
                [mask](const Tensor& dy, Sink& dx) { dx.add(0, core::mul(dy, mask)); });
}

}  // namespace

Var exp(const Var& x) {
  Tensor y = core::exp(x.value());
  return record("exp", y, {x}, [y](const Tensor& dy, Sink& dx) { dx.add(0, core::mul(dy, y)); });
}

Var log(const Var& x) {
  return record("log", core::log(x.value()), {x},
                [x = x.value()](const Tensor& dy, Sink& dx) { dx.add(0, core::div(dy, x)); });
}

Var sqrt(const Var& x) {
  Tensor y = core::sqrt(x.value());
  return record("sqrt", y, {x}, [y](const Tensor& dy, Sink& dx) { dx.add(0, core::affine(core::div(dy, y), 0.5)); });
}

Var tanh(const Var& x) {
  Tensor y = core::tanh(x.value());
  return record("tanh", y, {x}, [y](const Tensor& dy, Sink& dx) {
    dx.add(0, core::mul(dy, core::affine(core::mul(y, y), -1, 1)));  // 1 - y^2
  });
}

Var sigmoid(const Var& x) {
  Tensor y = core::sigmoid(x.value());
  return record("sigmoid", y, {x}, [y](const Tensor& dy, Sink& dx) {
    dx.add(0, core::mul(dy, core::mul(y, core::affine(y, -1, 1))));  // y (1 - y)
  });
}

Var abs(const Var& x) {
  return record("abs", core::abs(x.value()), {x},
                [x = x.value()](const Tensor& dy, Sink& dx) { dx.add(0, core::abs_backward(dy, x)); });
}

Var square(const Var& x) {
  return record("square", core::square(x.value()), {x},
                [x = x.value()](const Tensor& dy, Sink& dx) { dx.add(0, core::square_backward(dy, x)); });
}

Var rsqrt(const Var& x) {
  return record("rsqrt", core::rsqrt(x.value()), {x},
                [x = x.value()](const Tensor& dy, Sink& dx) { dx.add(0, core::rsqrt_backward(dy, x)); });
}

Var erf(const Var& x) {
  return record("erf", core::erf(x.value()), {x},
                [x = x.value()](const Tensor& dy, Sink& dx) { dx.add(0, core::erf_backward(dy, x)); });
}

Var sin(const Var& x) {
  return record("sin", core::sin(x.value()), {x},
                [x = x.value()](const Tensor& dy, Sink& dx) { dx.add(0, core::sin_backward(dy, x)); });
}

Var cos(const Var& x) {
  return record("cos", core::cos(x.value()), {x},
                [x = x.value()](const Tensor& dy, Sink& dx) { dx.add(0, core::cos_backward(dy, x)); });
}

Var pow(const Var& x, double exponent) {
  return record("pow", core::pow(x.value(), exponent), {x}, [x = x.value(), exponent](const Tensor& dy, Sink& dx) {
    dx.add(0, core::pow_backward(dy, x, exponent));
  });
}

Var clamp(const Var& x, double low, double high) {
  return record(
      "clamp", core::clamp(x.value(), low, high), {x},
      [x = x.value(), low, high](const Tensor& dy, Sink& dx) { dx.add(0, core::clamp_backward(dy, x, low, high)); });
}

Var leaky_relu(const Var& x, double slope) {
  return record(
      "leaky_relu", core::leaky_relu(x.value(), slope), {x},
      [x = x.value(), slope](const Tensor& dy, Sink& dx) { dx.add(0, core::leaky_relu_backward(dy, x, slope)); });
}

Var softplus(const Var& x) {
  return record("softplus", core::softplus(x.value()), {x},
                [x = x.value()](const Tensor& dy, Sink& dx) { dx.add(0, core::softplus_backward(dy, x)); });
}

Var relu(const Var& x) {
  return record("relu", core::relu(x.value()), {x},
                [x = x.value()](const Tensor& dy, Sink& dx) { dx.add(0, core::relu_backward(dy, x)); });
}

Var silu(const Var& x) {
  return record("silu", core::silu(x.value()), {x},
                [x = x.value()](const Tensor& dy, Sink& dx) { dx.add(0, core::silu_backward(dy, x)); });
}

Var gelu(const Var& x, Gelu kind) {
  Var y = record("gelu", core::gelu(x.value(), kind), {x},
                 [x = x.value(), kind](const Tensor& dy, Sink& dx) { dx.add(0, core::gelu_backward(dy, x, kind)); });
  return recomputable(std::move(y), [x = x.value(), kind] { return core::gelu(x, kind); });
}

Var swiglu(const Var& x) {
  Var y = record("swiglu", core::swiglu(x.value()), {x},
                 [x = x.value()](const Tensor& dy, Sink& dx) { dx.add(0, core::swiglu_backward(dy, x)); });
  return recomputable(std::move(y), [x = x.value()] { return core::swiglu(x); });
}

Var dropout(const Var& x, double p) { return masked("dropout", x, x.shape(), p); }

Var drop_path(const Var& x, double p) {
  Shape per_sample = x.shape();
  for (int axis = 1; axis < x.rank(); ++axis) per_sample = per_sample.with(axis, 1);
  return masked("drop_path", x, per_sample, p);
}

}  // namespace vitrail::ag
