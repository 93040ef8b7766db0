#include "vitrail/optim/schedule.h"

#include <doctest/doctest.h>

using namespace vitrail::optim;
using doctest::Approx;

TEST_CASE("warm-up reaches the ends it says") {
  CHECK(Warmup{4, 1, Ends::both}.value(7, 0) == 1);
  CHECK(Warmup{4, 1, Ends::both}.value(7, 3) == 7);
  CHECK(Warmup{4, 1, Ends::first}.value(9, 0) == 1);
  CHECK(Warmup{4, 1, Ends::first}.value(9, 3) == 7);
  CHECK(Warmup{4, 1, Ends::last}.value(9, 0) == 3);
  CHECK(Warmup{4, 1, Ends::last}.value(9, 3) == 9);
  CHECK(Warmup{1, 0.5, Ends::both}.value(9, 0) == 0.5);
  CHECK_FALSE(Warmup{}.covers(0));
}

TEST_CASE("the cosine of DINO's 100 epochs") {
  const double epoch = 2502;
  const CosineSchedule lr{.base = 1e-3, .final = 1e-6, .steps = 100 * epoch, .warmup = {10 * epoch, 0, Ends::both}};
  CHECK(lr(0) == 0);
  CHECK(lr(1) == Approx(3.996962308645429e-8).epsilon(1e-12));
  CHECK(lr(25019) == Approx(1e-3).epsilon(1e-12));
  CHECK(lr(25020) == 1e-3);
  CHECK(lr(125100) == Approx(5.872372647446e-4).epsilon(1e-11));
  CHECK(lr(250199) > 1e-6);
  CHECK(lr(250200) == 1e-6);
  CHECK(lr(1e9) == 1e-6);
  const CosineSchedule momentum{.base = 0.996, .final = 1, .steps = 100 * epoch};
  CHECK(momentum(2502) == Approx(0.996000986879).epsilon(1e-11));
}

TEST_CASE("the learning rates of DeiT's 300 epochs") {
  const CyclicCosineSchedule lr{.base = 1e-3, .min = 1e-5, .cycle_steps = 300, .warmup = {5, 1e-6}};
  CHECK(lr(0) == 1e-6);
  CHECK(lr(1) == Approx(2.008e-4).epsilon(1e-12));
  CHECK(lr(0.5) == Approx((lr(0) + lr(1)) / 2).epsilon(1e-12));
  CHECK(lr(5) == Approx(9.99321619703514e-4).epsilon(1e-12));
  CHECK(lr(298) == Approx(1.0108561679951e-5).epsilon(1e-12));
  CHECK(lr(300) == 1e-5);
}

TEST_CASE("cycles restart, grow and fade") {
  const CyclicCosineSchedule lr{.base = 8, .cycle_steps = 4, .cycle_mul = 2, .cycle_decay = 0.5, .cycle_limit = 2};
  CHECK(lr(0) == 8);
  CHECK(lr(2) == Approx(4));
  CHECK(lr(4) == 4);
  CHECK(lr(8) == Approx(2));
  CHECK(lr(12) == 0);
}

TEST_CASE("constant, linear and steps") {
  const PolynomialSchedule constant{.base = 3, .steps = 10};
  CHECK(constant(0) == 3);
  CHECK(constant(100) == 3);
  const PolynomialSchedule linear{.base = 4, .final = 2, .steps = 12, .decay_steps = 8, .warmup = {4}};
  CHECK(linear(0) == 0);
  CHECK(linear(2) == 2);
  CHECK(linear(4) == 4);
  CHECK(linear(8) == 3);
  CHECK(linear(12) == 2);
  CHECK(linear(13) == 2);
  const StepSchedule steps{.base = 1, .every = 30};
  CHECK(steps(29) == 1);
  CHECK(steps(30) == Approx(0.1));
  CHECK(steps(60) == Approx(0.01));
}
