#include "vitrail/core/kernels/rows.h"
#include "vitrail/core/ops.h"

namespace vitrail::core {
namespace {

void check_gradient(const char* op, const Tensor& dy, const Shape& expected) {
  check<ShapeError>(dy.shape() == expected, op, "dy is {}, expected {}", dy.shape(), expected);
}

/// Applies the kernel that pick takes from a table.
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
