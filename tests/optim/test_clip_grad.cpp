#include "tests/optim/parameters.h"
#include "tests/support/close.h"
#include "vitrail/core/parallel.h"
#include "vitrail/optim/clip_grad.h"

#include <cmath>
#include <limits>

using namespace vitrail;
using namespace vitrail::optim;
using doctest::Approx;
using test::Parameters;

namespace {

/// Gradients (3) and (4), and a parameter without one.
Parameters three_four(DType dtype) {
  Parameters ps;
  ps.add("a", zeros({1}, dtype)).grad() = full({1}, 3, dtype);
  ps.add("none", zeros({1}, dtype));
  ps.add("b", zeros({1}, dtype)).grad() = full({1}, 4, dtype);
  return ps;
}

}  // namespace

TEST_CASE("the global norm is clipped if it is above, and returned") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Parameters ps = three_four(dtype);
    CHECK(clip_grad_norm(ps.all(), 0) == 5);
    CHECK(clip_grad_norm(ps.all(), 10) == 5);
    CHECK(ps.all()[0]->grad().item() == 3);
    CHECK(clip_grad_norm(ps.all(), 1) == 5);
    CHECK(ps.all()[0]->grad().item() == Approx(3 / (5 + 1e-6)).epsilon(dtype == DType::f64 ? 1e-14 : 1e-7));
    CHECK_FALSE(ps.all()[1]->grad().defined());
    CHECK(clip_grad_norm({}, 1) == 0);
  }
}

TEST_CASE("each parameter is clipped by its own norm") {
  Parameters ps = three_four(DType::f64);
  CHECK(clip_each(ps.all(), 3.5) == std::vector<double>{3, 0, 4});
  CHECK(ps.all()[0]->grad().item() == 3);
  CHECK(ps.all()[2]->grad().item() == Approx(3.5).epsilon(1e-6));
}

TEST_CASE("adaptive clipping goes by rows and leaves small gradients") {
  Parameters ps;
  ag::Parameter& w = ps.add("w", tensor({3., 4., 3., 4.}, {2, 2}));
  w.grad() = tensor({30., 40., 0.3, 0.4}, {2, 2});
  CHECK(clip_adaptive(ps.all(), 0.2) == Approx(std::sqrt(2500.25)));
  const auto g = w.grad().to_vector();
  CHECK(g[0] == Approx(0.6));
  CHECK(g[1] == Approx(0.8));
  CHECK(g[2] == 0.3);
}

TEST_CASE("a gradient that is not finite shows in the norm") {
  Parameters ps = three_four(DType::f32);
  ps.all()[0]->grad().fill_(std::numeric_limits<double>::quiet_NaN());
  CHECK(std::isnan(clip_grad_norm(ps.all(), 1)));
}

TEST_CASE("the norm does not depend on the number of threads") {
  Parameters ps;
  ps.add("w", Shape{300, 301});
  ps.set_grads(0);
  const int threads = num_threads();
  set_num_threads(1);
  const double one = clip_grad_norm(ps.all(), 0);
  set_num_threads(3);
  CHECK(clip_grad_norm(ps.all(), 0) == one);
  set_num_threads(threads);
}
