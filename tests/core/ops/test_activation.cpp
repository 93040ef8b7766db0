#include "tests/core/ops/kernel_case.h"
#include "vitrail/core/error.h"
#include "vitrail/core/reference/elementwise.h"

#include <cmath>

namespace vitrail {
namespace {

using core::Gelu;
using test::KernelCase, test::Tensors;

/// A function of one element: forward, backward if it has one, and the formula.
struct Activation {
  std::string name;
  std::function<Tensor(const Tensor&)> forward;
  std::function<Tensor(const Tensor&, const Tensor&)> backward;
  double (*formula)(double);
  double low = -20, high = 20;
  double absolute = 1e-37;  // error allowed beside the relative one, where cancellation is part of the function
};

const std::vector<Activation> kActivations = {
    {"neg", core::neg, {}, [](double x) { return -x; }},
    {"exp", core::exp, {}, [](double x) { return std::exp(x); }, -87, 88},
    {"log", core::log, {}, [](double x) { return std::log(x); }, 1e-6, 1e4, 1e-7},
    {"sqrt", core::sqrt, {}, [](double x) { return std::sqrt(x); }, 0, 1e6},
    {"tanh", core::tanh, {}, [](double x) { return std::tanh(x); }},
    {"sigmoid", core::sigmoid, {}, reference::sigmoid, -80, 80},
    {"relu", core::relu, core::relu_backward, reference::relu},
    {"silu", core::silu, core::silu_backward, reference::silu},
    {"gelu erf", [](const Tensor& x) { return core::gelu(x); },
     [](const Tensor& dy, const Tensor& x) { return core::gelu_backward(dy, x); }, reference::gelu_erf, -10, 10, 4e-7},
    {"gelu tanh", [](const Tensor& x) { return core::gelu(x, Gelu::tanh); },
     [](const Tensor& dy, const Tensor& x) { return core::gelu_backward(dy, x, Gelu::tanh); }, reference::gelu_tanh,
     -10, 10, 4e-7},
    {"gelu quick", [](const Tensor& x) { return core::gelu(x, Gelu::quick); },
     [](const Tensor& dy, const Tensor& x) { return core::gelu_backward(dy, x, Gelu::quick); }, reference::gelu_quick,
     -8, 8},
    {"abs", core::abs, core::abs_backward, [](double x) { return std::abs(x); }},
    {"square", core::square, core::square_backward, reference::square},
    {"rsqrt", core::rsqrt, core::rsqrt_backward, reference::rsqrt, 1e-3, 1e4},
    {"pow", [](const Tensor& x) { return core::pow(x, -1.5); },
     [](const Tensor& dy, const Tensor& x) { return core::pow_backward(dy, x, -1.5); },
     [](double x) { return std::pow(x, -1.5); }, 0.25, 1e3},
    {"pow 3", [](const Tensor& x) { return core::pow(x, 3); },
     [](const Tensor& dy, const Tensor& x) { return core::pow_backward(dy, x, 3); },
     [](double x) { return x * x * x; }},
    {"erf", core::erf, core::erf_backward, [](double x) { return std::erf(x); }, -5, 5},
    {"sin", core::sin, core::sin_backward, [](double x) { return std::sin(x); }, -30, 30},
    {"cos", core::cos, core::cos_backward, [](double x) { return std::cos(x); }, -30, 30},
    {"clamp", [](const Tensor& x) { return core::clamp(x, -0.5, 2.25); },
     [](const Tensor& dy, const Tensor& x) { return core::clamp_backward(dy, x, -0.5, 2.25); },
     [](double x) { return reference::clamp(x, -0.5, 2.25); }},
    {"leaky_relu", [](const Tensor& x) { return core::leaky_relu(x, 0.2); },
     [](const Tensor& dy, const Tensor& x) { return core::leaky_relu_backward(dy, x, 0.2); },
     [](double x) { return reference::leaky_relu(x, 0.2); }},
    {"softplus", core::softplus, core::softplus_backward, reference::softplus},
};

}  // namespace

TEST_CASE("activations equal their formulas to a few units in the last place") {
  for (const Activation& a : kActivations) {
    CAPTURE(a.name);
    const Tensor x = core::affine(arange(20001, DType::f32), (a.high - a.low) / 20000, a.low);
    const auto in = x.to_vector(), f32 = a.forward(x).to_vector(), f64 = a.forward(x.to(DType::f64)).to_vector();
    double worst = 0, worst_f64 = 0;
    for (size_t i = 0; i < in.size(); ++i) {
      const double y = a.formula(in[i]);
      worst = std::max(worst, (std::abs(f32[i] - y) - a.absolute) / (std::abs(y) + 1e-300));
      worst_f64 = std::max(worst_f64, std::abs(f64[i] - y) / (1 + std::abs(y)));
    }
    CHECK(worst < 1e-6);
    CHECK(worst_f64 < 1e-14);
  }
}

TEST_CASE("slopes in f64 equal central differences") {
  const Tensor x = core::affine(arange(41, DType::f64), 0.2, -4.03);
  for (const Activation& a : kActivations) {
    if (!a.backward) continue;
    CAPTURE(a.name);
    const auto slope = a.backward(ones(x.shape(), DType::f64), x).to_vector();
    for (size_t i = 0; i < slope.size(); ++i) {
      const double at = x.to_vector()[i], h = 1e-6;
      if (at - h < a.low || at + h > a.high) continue;
      CHECK(slope[i] == doctest::Approx((a.formula(at + h) - a.formula(at - h)) / (2 * h)).epsilon(1e-7));
    }
  }
}

TEST_CASE("activations in f32 and bf16 agree with f64 on every shape") {
  Rng rng(3, "activation");
  for (const Activation& a : kActivations) {
    const double low = std::max(a.low, -4.0), high = std::min(a.high, 4.0);
    for (const Shape& shape : test::kShapes) {
      const Tensor x = rng.uniform(shape, low, high, DType::f64), dy = rng.normal(shape, 0, 1, DType::f64);
      test::check_case({a.name, [&](const Tensors& t) { return Tensors{a.forward(t[0])}; }, 2e-5, 6e-3,
                        [&](const Tensors& t) { return Tensors{reference::map(t[0], a.formula)}; }},
                       {x});
      if (a.backward)
        test::check_case(
            {a.name + " backward", [&](const Tensors& t) { return Tensors{a.backward(t[1], t[0])}; }, 2e-5}, {x, dy});
    }
  }
}

TEST_CASE("swiglu is silu of one half times the other") {
  Rng rng(4, "swiglu");
  const KernelCase forward{"swiglu", [](const Tensors& t) { return Tensors{core::swiglu(t[0])}; }, 2e-6, 6e-3,
                           [](const Tensors& t) { return Tensors{reference::swiglu(t[0])}; }};
  const KernelCase backward{"swiglu_backward",
                            [](const Tensors& t) { return Tensors{core::swiglu_backward(t[1], t[0])}; }};
  for (const Shape& shape : {Shape{2}, Shape{0, 4}, Shape{3, 34}, Shape{2, 5, 1022}}) {
    const Tensor x = rng.normal(shape, 0, 2, DType::f64);
    const int64_t half = shape[-1] / 2;
    const Tensor dy = rng.normal(shape.with(-1, half), 0, 1, DType::f64);
    test::check_case(forward, {x});
    test::check_case(backward, {x, dy});
    const Tensor a = x.slice(-1, 0, half), b = x.slice(-1, half, 2 * half);
    CHECK(test::max_difference(core::swiglu(x), core::mul(core::silu(a), b)) < 1e-14);
    const Tensor dx = core::swiglu_backward(dy, x);
    CHECK(test::max_difference(dx.slice(-1, 0, half), core::silu_backward(core::mul(dy, b), a)) < 1e-14);
    CHECK(test::max_difference(dx.slice(-1, half, 2 * half), core::mul(dy, core::silu(a))) < 1e-14);
  }
}

TEST_CASE("the ends of the number line") {
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor x = tensor<float>({-inf, -200, 200, inf, std::nanf("")}, {5});
  const auto ends = [&](const Tensor& y) {
    CHECK(std::isnan(y.to_vector()[4]));
    const auto v = y.to_vector();
    return std::vector<double>(v.begin(), v.end() - 1);
  };
  CHECK(ends(core::exp(x)) == std::vector<double>{0, 0, inf, inf});
  CHECK(ends(core::tanh(x)) == std::vector<double>{-1, -1, 1, 1});
  CHECK(ends(core::sigmoid(x)) == std::vector<double>{0, 0, 1, 1});
  CHECK(ends(core::clamp(x, -1, 2)) == std::vector<double>{-1, -1, 2, 2});
  CHECK(ends(core::softplus(x)) == std::vector<double>{0, 0, 200, inf});
  CHECK(ends(core::abs_backward(ones({5}), x)) == std::vector<double>{-1, -1, 1, 1});
  CHECK(core::abs_backward(ones({1}), zeros({1})).item() == 0);
  CHECK(core::clamp(x, 3, 1).to_vector()[0] == 1);  // PyTorch: the upper limit wins
  CHECK(ends(core::relu(x)) == std::vector<double>{0, 0, 200, inf});
  const auto logs = core::log(tensor<float>({0, -1, inf, 1, 1e-40f}, {5})).to_vector();
  CHECK(logs[0] == -inf);
  CHECK(std::isnan(logs[1]));
  CHECK(logs[2] == inf);
  CHECK(logs[3] == 0);
  CHECK(logs[4] == doctest::Approx(std::log(1e-40f)).epsilon(1e-6));
}

TEST_CASE("activations say what does not fit") {
  CHECK_THROWS_WITH_AS(core::gelu_backward(zeros({2}), zeros({3})), doctest::Contains("dy is [2], expected [3]"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(core::swiglu(zeros({2, 3})), doctest::Contains("must be even"), ShapeError);
  CHECK_THROWS_WITH_AS(core::exp(arange(3)), doctest::Contains("[exp]"), ShapeError);
}

}  // namespace vitrail
