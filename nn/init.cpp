#include "vitrail/nn/init.h"

#include "vitrail/core/error.h"

#include <cmath>

namespace vitrail::nn::init {
namespace {

int64_t receptive_field(const Shape& shape) {
  int64_t n = 1;
  for (int i = 2; i < shape.rank(); ++i) n *= shape[i];
  return n;
}

int64_t fan_in(const Shape& shape) {
  check<ShapeError>(shape.rank() >= 2, "init", "{} has no fan-in; it needs [out, in, ...]", shape);
  return shape[1] * receptive_field(shape);
}

int64_t fan_out(const Shape& shape) {
  check<ShapeError>(shape.rank() >= 2, "init", "{} has no fan-out; it needs [out, in, ...]", shape);
  return shape[0] * receptive_field(shape);
}

}  // namespace

Init zeros() { return constant(0); }
Init ones() { return constant(1); }

Init constant(double value) {
  return [value](const Shape& shape, DType dtype, Rng&) { return full(shape, value, dtype); };
}

Init normal(double std) {
  return [std](const Shape& shape, DType dtype, Rng& rng) { return rng.normal(shape, 0, std, dtype); };
}

Init trunc_normal(double std, double bound) {
  return [std, bound](const Shape& shape, DType dtype, Rng& rng) {
    Tensor t = rng.normal(shape, 0, std, dtype);
    dispatch_floating(dtype, "init", [&](auto element) {
      using T = decltype(element);
      for (T& v : t.span<T>())
        while (std::abs(double(v)) > bound) v = T(compute_cast<T>(std * rng.normal()));
    });
    return t;
  };
}

Init uniform(double bound) {
  return [bound](const Shape& shape, DType dtype, Rng& rng) { return rng.uniform(shape, -bound, bound, dtype); };
}

Init xavier_uniform() {
  return [](const Shape& shape, DType dtype, Rng& rng) {
    const double bound = std::sqrt(6.0 / double(fan_in(shape) + fan_out(shape)));
    return rng.uniform(shape, -bound, bound, dtype);
  };
}

Init kaiming_uniform(int64_t fan) {
  return [fan](const Shape& shape, DType dtype, Rng& rng) {
    const double bound = 1 / std::sqrt(double(fan ? fan : fan_in(shape)));
    return rng.uniform(shape, -bound, bound, dtype);
  };
}

Init kaiming_normal_fan_out() {
  return [](const Shape& shape, DType dtype, Rng& rng) {
    return rng.normal(shape, 0, std::sqrt(2.0 / double(fan_out(shape))), dtype);
  };
}

}  // namespace vitrail::nn::init
