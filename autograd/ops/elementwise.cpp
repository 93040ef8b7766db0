#include "vitrail/autograd/ops/elementwise.h"

namespace vitrail::ag {

Var add(const Var& a, const Var& b) {
  return record("add", core::add(a.value(), b.value()), {a, b}, [](const Tensor& dy, Sink& dx) {
    dx.add(0, dy);
    dx.add(1, dy);
  });
}

Var sub(const Var& a, const Var& b) {
  return record("sub", core::sub(a.value(), b.value()), {a, b}, [](const Tensor& dy, Sink& dx) {
    dx.add(0, dy);
    if (dx.wants(1)) dx.add(1, core::affine(dy, -1));
  });
}

Var mul(const Var& a, const Var& b) {
  return record("mul", core::mul(a.value(), b.value()), {a, b},
                [a = a.value(), b = b.value()](const Tensor& dy, Sink& dx) {
                  if (dx.wants(0)) dx.add(0, core::mul(dy, b));
                  if (dx.wants(1)) dx.add(1, core::mul(dy, a));
                });
}

Var div(const Var& a, const Var& b) {
  Tensor y = core::div(a.value(), b.value());
  return record("div", y, {a, b}, [y, b = b.value()](const Tensor& dy, Sink& dx) {
    const Tensor da = core::div(dy, b);
    if (dx.wants(1)) dx.add(1, core::affine(core::mul(da, y), -1));  // d(a/b)/db = -(a/b)/b
    dx.add(0, da);
  });
}

Var div(const Var& a, double b) {
  return record("div", core::div(a.value(), b), {a}, [b](const Tensor& dy, Sink& dx) { dx.add(0, core::div(dy, b)); });
}

Var div(double a, const Var& b) {
  Tensor y = core::div(a, b.value());
  return record("div", y, {b}, [y, b = b.value()](const Tensor& dy, Sink& dx) {
    dx.add(0, core::affine(core::div(core::mul(dy, y), b), -1));  // d(a/b)/db = -(a/b)/b
  });
}

Var maximum(const Var& a, const Var& b) {
  return record("maximum", core::maximum(a.value(), b.value()), {a, b},
                [a = a.value(), b = b.value()](const Tensor& dy, Sink& dx) {
                  if (dx.wants(0)) dx.add(0, core::maximum_backward(dy, a, b));
                  if (dx.wants(1)) dx.add(1, core::maximum_backward(dy, b, a));
                });
}

Var minimum(const Var& a, const Var& b) {
  return record("minimum", core::minimum(a.value(), b.value()), {a, b},
                [a = a.value(), b = b.value()](const Tensor& dy, Sink& dx) {
                  if (dx.wants(0)) dx.add(0, core::maximum_backward(dy, b, a));  // a < b
                  if (dx.wants(1)) dx.add(1, core::maximum_backward(dy, a, b));
                });
}

Var affine(const Var& x, double factor, double offset) {
  return record("affine", core::affine(x.value(), factor, offset), {x},
                [factor](const Tensor& dy, Sink& dx) { dx.add(0, core::affine(dy, factor)); });
}

Var where(const Tensor& mask, const Var& a, const Var& b) {
  return record("where", core::where(mask, a.value(), b.value()), {a, b}, [mask](const Tensor& dy, Sink& dx) {
    const Tensor zero = scalar(0, dy.dtype());
    if (dx.wants(0)) dx.add(0, core::where(mask, dy, zero));
    if (dx.wants(1)) dx.add(1, core::where(mask, zero, dy));
  });
}

Var masked_fill(const Var& x, const Tensor& mask, double value) {
  return record("masked_fill", core::masked_fill(x.value(), mask, value), {x},
                [mask](const Tensor& dy, Sink& dx) { dx.add(0, core::masked_fill(dy, mask, 0)); });
}

Var cast(const Var& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  return record("cast", x.value_as(dtype), {x},
                [from = x.dtype()](const Tensor& dy, Sink& dx) { dx.add(0, dy.to(from)); });
}

}  // namespace vitrail::ag
