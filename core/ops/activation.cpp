#include "vitrail/core/ops/activation.h"

#include "vitrail/core/kernels/rows.h"

namespace vitrail::core {
namespace {

void check_gradient(const char* op, const Tensor& dy, const Shape& expected) {
  check<ShapeError>(dy.shape() == expected, op, "dy is {}, expected {}", dy.shape(), expected);
}

/// Applies the kernel that pick(table) returns.
template <class F>
Tensor map(const char* op, const Tensor& x, F&& pick) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch_compute(x.dtype(), op, [&](auto c) {
    const auto kernel = pick(kernels::table<decltype(c)>());
    for_each_run<decltype(c), 1, 1>({x}, {y}, [&](auto& in, auto& out, int64_t n) { kernel(in[0], out[0], n); });
  });
  return y;
}

template <class F>
Tensor map_backward(const char* op, const Tensor& dy, const Tensor& x, F&& pick) {
  check_gradient(op, dy, x.shape());
  Tensor dx = Tensor::empty(x.shape(), x.dtype());
  dispatch_compute(x.dtype(), op, [&](auto c) {
    const auto kernel = pick(kernels::table<decltype(c)>());
    for_each_run<decltype(c), 2, 1>({dy, x}, {dx},
                                    [&](auto& in, auto& out, int64_t n) { kernel(in[0], in[1], out[0], n); });
  });
  return dx;
}

/// A parameter in the type of the elements that x points to.
template <class C>
C narrowed(const C*, double parameter) {
  return C(parameter);
}

/// Half the last axis.
int64_t gate_width(const char* op, const Tensor& x) {
  check<ShapeError>(x.rank() > 0 && x.size(-1) % 2 == 0, op, "x is {}: the last axis must be even, [gate | value]",
                    x.shape());
  return x.size(-1) / 2;
}

}  // namespace

Tensor neg(const Tensor& x) {
  return map("neg", x, [](auto& table) { return table.neg; });
}
Tensor exp(const Tensor& x) {
  return map("exp", x, [](auto& table) { return table.exp; });
}
Tensor log(const Tensor& x) {
  return map("log", x, [](auto& table) { return table.log; });
}
Tensor sqrt(const Tensor& x) {
  return map("sqrt", x, [](auto& table) { return table.sqrt; });
}
Tensor tanh(const Tensor& x) {
  return map("tanh", x, [](auto& table) { return table.tanh; });
}
Tensor sigmoid(const Tensor& x) {
  return map("sigmoid", x, [](auto& table) { return table.sigmoid; });
}

Tensor abs(const Tensor& x) {
  return map("abs", x, [](auto& table) { return table.abs; });
}
Tensor abs_backward(const Tensor& dy, const Tensor& x) {
  return map_backward("abs_backward", dy, x, [](auto& table) { return table.abs_backward; });
}

Tensor square(const Tensor& x) {
  return map("square", x, [](auto& table) { return table.square; });
}
Tensor square_backward(const Tensor& dy, const Tensor& x) {
  return map_backward("square_backward", dy, x, [](auto& table) { return table.square_backward; });
}

Tensor rsqrt(const Tensor& x) {
  return map("rsqrt", x, [](auto& table) { return table.rsqrt; });
}
Tensor rsqrt_backward(const Tensor& dy, const Tensor& x) {
  return map_backward("rsqrt_backward", dy, x, [](auto& table) { return table.rsqrt_backward; });
}

Tensor erf(const Tensor& x) {
  return map("erf", x, [](auto& table) { return table.erf; });
}
Tensor erf_backward(const Tensor& dy, const Tensor& x) {
  return map_backward("erf_backward", dy, x, [](auto& table) { return table.erf_backward; });
}

Tensor sin(const Tensor& x) {
  return map("sin", x, [](auto& table) { return table.sin; });
}
Tensor sin_backward(const Tensor& dy, const Tensor& x) {
  return map_backward("sin_backward", dy, x, [](auto& table) { return table.sin_backward; });
}

Tensor cos(const Tensor& x) {
  return map("cos", x, [](auto& table) { return table.cos; });
}
Tensor cos_backward(const Tensor& dy, const Tensor& x) {
  return map_backward("cos_backward", dy, x, [](auto& table) { return table.cos_backward; });
}

Tensor softplus(const Tensor& x) {
  return map("softplus", x, [](auto& table) { return table.softplus; });
}
Tensor softplus_backward(const Tensor& dy, const Tensor& x) {
  return map_backward("softplus_backward", dy, x, [](auto& table) { return table.softplus_backward; });
}

Tensor pow(const Tensor& x, double exponent) {
  if (exponent == 2) return square(x);
  return map("pow", x, [exponent](auto& table) {
    return [&table, exponent](auto* in, auto* out, int64_t n) { table.pow(in, narrowed(in, exponent), out, n); };
  });
}
Tensor pow_backward(const Tensor& dy, const Tensor& x, double exponent) {
  if (exponent == 0) return zeros(x.shape(), x.dtype());
  return map_backward("pow_backward", dy, x, [exponent](auto& table) {
    return [&table, exponent](auto* g, auto* in, auto* out, int64_t n) {
      table.pow_backward(g, in, narrowed(in, exponent), out, n);
    };
  });
}

Tensor leaky_relu(const Tensor& x, double slope) {
  return map("leaky_relu", x, [slope](auto& table) {
    return [&table, slope](auto* in, auto* out, int64_t n) { table.leaky_relu(in, narrowed(in, slope), out, n); };
  });
}
Tensor leaky_relu_backward(const Tensor& dy, const Tensor& x, double slope) {
  return map_backward("leaky_relu_backward", dy, x, [slope](auto& table) {
    return [&table, slope](auto* g, auto* in, auto* out, int64_t n) {
      table.leaky_relu_backward(g, in, narrowed(in, slope), out, n);
    };
  });
}

Tensor clamp(const Tensor& x, double low, double high) {
  return map("clamp", x, [=](auto& table) {
    return [&table, low, high](auto* in, auto* out, int64_t n) {
      table.clamp(in, narrowed(in, low), narrowed(in, high), out, n);
    };
  });
}
Tensor clamp_backward(const Tensor& dy, const Tensor& x, double low, double high) {
  return map_backward("clamp_backward", dy, x, [=](auto& table) {
    return [&table, low, high](auto* g, auto* in, auto* out, int64_t n) {
      table.clamp_backward(g, in, narrowed(in, low), narrowed(in, high), out, n);
    };
  });
}

Tensor relu(const Tensor& x) {
  return map("relu", x, [](auto& table) { return table.relu; });
}
Tensor relu_backward(const Tensor& dy, const Tensor& x) {
  return map_backward("relu_backward", dy, x, [](auto& table) { return table.relu_backward; });
}

Tensor silu(const Tensor& x) {
  return map("silu", x, [](auto& table) { return table.silu; });
}
Tensor silu_backward(const Tensor& dy, const Tensor& x) {
  return map_backward("silu_backward", dy, x, [](auto& table) { return table.silu_backward; });
}

Tensor gelu(const Tensor& x, Gelu kind) {
  return map("gelu", x, [kind, coarse = x.dtype() == DType::bf16](auto& table) {
    if (kind == Gelu::erf) return coarse ? table.gelu_erf_coarse : table.gelu_erf;
    return kind == Gelu::tanh ? table.gelu_tanh : table.gelu_quick;
  });
}
Tensor gelu_backward(const Tensor& dy, const Tensor& x, Gelu kind) {
  return map_backward("gelu_backward", dy, x, [kind, coarse = x.dtype() == DType::bf16](auto& table) {
    if (kind == Gelu::erf) return coarse ? table.gelu_erf_coarse_backward : table.gelu_erf_backward;
    return kind == Gelu::tanh ? table.gelu_tanh_backward : table.gelu_quick_backward;
  });
}

Tensor swiglu(const Tensor& x) {
  const int64_t width = gate_width("swiglu", x);
  Tensor y = Tensor::empty(x.shape().with(-1, width), x.dtype());
  dispatch_compute(x.dtype(), "swiglu", [&](auto c) {
    using C = decltype(c);
    for_each_run<C, 2, 1>({x.slice(-1, 0, width), x.slice(-1, width, 2 * width)}, {y},
                          [](auto& in, auto& out, int64_t n) { kernels::table<C>().swiglu(in[0], in[1], out[0], n); });
  });
  return y;
}

Tensor swiglu_backward(const Tensor& dy, const Tensor& x) {
  const int64_t width = gate_width("swiglu_backward", x);
  check_gradient("swiglu_backward", dy, x.shape().with(-1, width));
  Tensor dx = Tensor::empty(x.shape(), x.dtype());
  dispatch_compute(x.dtype(), "swiglu_backward", [&](auto c) {
    using C = decltype(c);
    for_each_run<C, 3, 2>({dy, x.slice(-1, 0, width), x.slice(-1, width, 2 * width)},
                          {dx.slice(-1, 0, width), dx.slice(-1, width, 2 * width)}, [](auto& in, auto& out, int64_t n) {
                            kernels::table<C>().swiglu_backward(in[0], in[1], in[2], out[0], out[1], n);
                          });
  });
  return dx;
}

}  // namespace vitrail::core
