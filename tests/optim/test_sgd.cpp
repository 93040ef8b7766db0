#include "tests/optim/parameters.h"
#include "tests/support/close.h"
#include "vitrail/core/error.h"
#include "vitrail/optim/sgd.h"

using namespace vitrail;
using optim::Sgd;
using test::Parameters;

TEST_CASE("the first buffer is the bare gradient, dampening comes after") {
  Parameters ps;
  ag::Parameter& p = ps.add("p", zeros({1}, DType::f64));
  Sgd sgd({{ps.all()}}, {.momentum = 0.5, .dampening = 0.25});
  p.grad() = ones({1}, DType::f64);
  sgd.step(1, 0);
  CHECK(p.value().item() == -1);
  sgd.step(1, 0);
  CHECK(p.value().item() == -1 - (0.5 + 0.75));
}

TEST_CASE("the learning rate stays out of the buffer") {
  Parameters ps;
  ag::Parameter& p = ps.add("p", zeros({1}, DType::f64));
  Sgd sgd({{ps.all()}}, {.momentum = 0.5});
  p.grad() = ones({1}, DType::f64);
  sgd.step(1, 0);
  sgd.step(0.125, 0);
  CHECK(p.value().item() == -1 - 0.125 * 1.5);
  CHECK(sgd.state().at("p/momentum_buffer").item() == 1.5);
}

TEST_CASE("a strided gradient is taken as it reads") {
  Parameters ps;
  ag::Parameter& p = ps.add("p", zeros({2, 3}));
  p.grad() = tensor({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {3, 2}).transpose(0, 1);
  Sgd({{ps.all()}}).step(1, 0);
  CHECK(p.value().to_vector() == std::vector<double>{-1, -3, -5, -2, -4, -6});
}

TEST_CASE("without momentum there is no state but the count") {
  Parameters ps;
  ps.add("p", Shape{2});
  Sgd sgd({{ps.all()}});
  ps.set_grads(0);
  sgd.step(0.1, 0);
  CHECK(sgd.state().size() == 1);
  CHECK(sgd.state().at("p/step").item() == 1);
}

TEST_CASE("an empty parameter is no trouble") {
  Parameters ps;
  ps.add("p", Shape{0, 4});
  ps.set_grads(0);
  Sgd sgd({{ps.all()}}, {.momentum = 0.9});
  CHECK_NOTHROW(sgd.step(0.1, 0.1));
}

TEST_CASE("nesterov needs momentum") {
  Parameters ps;
  ps.add("w", Shape{2});
  CHECK_THROWS_WITH_AS(Sgd({{ps.all()}}, {.nesterov = true}),
                       "[sgd] nesterov needs momentum > 0 and dampening 0; momentum is 0, dampening 0", ConfigError);
}
