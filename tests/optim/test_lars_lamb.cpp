#include "tests/optim/parameters.h"
#include "tests/support/close.h"
#include "vitrail/optim/lamb.h"
#include "vitrail/optim/sgd.h"

#include <cmath>

using namespace vitrail;
using namespace vitrail::optim;
using doctest::Approx;
using test::Parameters;

namespace {

double rms_change(const Tensor& before, const Tensor& after) {
  double sum = 0;
  const auto a = before.to_vector(), b = after.to_vector();
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

}  // namespace

TEST_CASE("LARS moves a matrix by trust_coeff of its norm, whatever the gradient's size") {
  for (const LarsRule rule : {LarsRule::timm, LarsRule::dino}) {
    for (const double size : {1e-3, 1.0, 1e3}) {
      Parameters ps;
      ag::Parameter& w = ps.add("w", full({2, 2}, 2, DType::f64));
      w.grad() = full({2, 2}, size, DType::f64);
      const Tensor before = w.value().clone();
      Lars({{ps.all()}}, {.trust_coeff = 0.01, .rule = rule}).step(1, 1e-9);
      CHECK(rms_change(before, w.value()) == Approx(0.01 * 4).epsilon(1e-4));
    }
  }
}

TEST_CASE("LARS leaves vectors plain by DINO's rule, those without decay by timm's") {
  for (const LarsRule rule : {LarsRule::timm, LarsRule::dino}) {
    Parameters ps;
    ag::Parameter& b = ps.add("b", full({2}, 2, DType::f64));
    b.grad() = ones({2}, DType::f64);
    const double decay_scale = rule == LarsRule::dino ? 1 : 0;
    Lars lars({{.parameters = ps.all(), .weight_decay_scale = decay_scale}}, {.rule = rule});
    lars.step(0.5, 0.1);
    CHECK(b.value().to_vector() == std::vector<double>{1.5, 1.5});
  }
}

TEST_CASE("LARS and LAMB start from zero weights") {
  Parameters ps;
  ag::Parameter& w = ps.add("w", zeros({2, 2}, DType::f64));
  w.grad() = ones({2, 2}, DType::f64);
  Lars({{ps.all()}}).step(0.5, 0.1);
  CHECK(w.value().to_vector() == std::vector<double>(4, -0.5));
  w.update([](Tensor& value) { value.zero_(); });
  Lamb({{ps.all()}}).step(0.5, 0.1);
  CHECK(w.value().to_vector()[0] == Approx(-0.5).epsilon(1e-4));
}

TEST_CASE("LAMB moves a decayed parameter by lr of its norm") {
  Parameters ps;
  ag::Parameter& w = ps.add("w", Shape{40, 50});
  ps.set_grads(0);
  const Tensor before = w.value().clone();
  Lamb({{ps.all()}}).step(0.1, 0.01);
  CHECK(rms_change(before, w.value()) == Approx(0.1 * rms_change(before, zeros({40, 50}))).epsilon(1e-4));
}

TEST_CASE("LAMB goes on from its saved state") {
  Parameters a, b;
  a.add("w", Shape{5, 6});
  Lamb first({{a.all()}});
  a.set_grads(0);
  first.step(0.1, 0.01);
  b.add("w", a.all()[0]->value().clone());
  Lamb second({{b.all()}});
  second.load_state(first.state());
  for (Parameters* ps : {&a, &b}) ps->set_grads(1);
  first.step(0.1, 0.01);
  second.step(0.1, 0.01);
  CHECK(a.all()[0]->value().to_vector() == b.all()[0]->value().to_vector());
}
