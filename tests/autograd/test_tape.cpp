#include "tests/support/close.h"
#include "vitrail/autograd/ops.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/autograd/tape.h"
#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"

#include <doctest/doctest.h>

#include <type_traits>
#include <utility>

namespace vitrail::ag {
namespace {

Parameter make(const char* name, const Shape& shape, DType dtype = DType::f32) {
  return Parameter(name, Rng(7, name).normal(shape, 0, 1, dtype));
}

/// Whether a forward that multiplies by the tensor of a parameter compiles.
template <class P>
concept MultipliesByValue = requires(const Var& x, P& weight) {
  x* weight.value();
};
template <class P>
concept MultipliesByParameter = requires(const Var& x, P& weight) {
  x* weight;
};

}  // namespace

TEST_CASE("the tensor of a parameter does not become a constant in silence") {
  static_assert(!MultipliesByValue<Parameter>);
  static_assert(MultipliesByParameter<Parameter>);
  static_assert(!std::is_constructible_v<Var, decltype(std::declval<Parameter&>().value())>);
  Parameter w = make("w", {3});
  const Tensor plain = w.value();  // elsewhere it is a tensor
  CHECK(plain.shares_storage(w.value()));
  Tape tape;
  const Var x = tape.input(ones({3}));
  tape.backward(sum(x * w + x * Tensor(w.value())));  // the second is a constant on purpose
  CHECK(test::max_difference(w.grad(), ones({3})) == 0);
}

TEST_CASE("gradients of a parameter used twice accumulate, over sweeps too") {
  Parameter w = make("w", {3});
  for (int sweep = 1; sweep <= 2; ++sweep) {
    Tape tape;
    tape.backward(sum(Var(w) * Var(w) + Var(w)));
    CHECK(test::max_difference(w.grad(), core::affine(w.value(), 2.0 * sweep, sweep)) < 1e-6);
  }
  w.drop_grad();
  CHECK_FALSE(w.grad().defined());
}

TEST_CASE("gradients of parameters that meet in one sum are separate tensors") {
  Parameter a = make("a", {2}), b = make("b", {2});
  Tape tape;
  tape.backward(sum(Var(a) + Var(b)));
  CHECK_FALSE(a.grad().shares_storage(b.grad()));
  core::scale_(a.grad(), 5);
  CHECK(b.grad().to_vector() == std::vector<double>{1, 1});
}

TEST_CASE("without a tape nothing is recorded") {
  Parameter w = make("w", {3});
  CHECK_FALSE(sum(Var(w)).requires_grad());
  Tape tape;
  {
    const NoGrad no_grad;
    CHECK_FALSE((Var(w) * 2.0).requires_grad());
  }
  CHECK((Var(w) * 2.0).requires_grad());
  CHECK_FALSE((Var(w) * 2.0).detach().requires_grad());
  w.set_requires_grad(false);
  CHECK_FALSE((Var(w) * 2.0).requires_grad());
}

TEST_CASE("misuse of a tape is named") {
  Parameter w = make("w", {3});
  Tape tape;
  const Var y = sum(Var(w));
  CHECK_THROWS_WITH_AS(w.update([](Tensor&) {}), doctest::Contains("'w' is still used by a live tape"), TapeError);
  CHECK_THROWS_WITH_AS(tape.backward(Var(w)), doctest::Contains("needs one number"), TapeError);
  {
    Tape inner;
    CHECK_THROWS_WITH_AS(y * 2.0, doctest::Contains("from an outer tape"), TapeError);
  }
  tape.backward(y);
  CHECK_NOTHROW(w.update([](Tensor&) {}));
  CHECK_THROWS_WITH_AS(tape.backward(y), doctest::Contains("swept already"), TapeError);
  Tape next;
  CHECK_THROWS_WITH_AS(y + y, doctest::Contains("input 0 of 'add' is from a tape already swept"), TapeError);
  CHECK_THROWS_WITH_AS(next.backward(Var(ones({}))), doctest::Contains("depends on no parameter"), TapeError);
}

TEST_CASE("a tape that goes out of scope early leaves parameters free") {
  Parameter w = make("w", {3});
  try {
    Tape tape;
    const Var y = Var(w) * 2.0;
    core::add(y.value(), zeros({4}));
  } catch (const ShapeError&) {
  }
  CHECK_NOTHROW(w.update([](Tensor& t) { t.zero_(); }));
  CHECK(w.value().to_vector() == std::vector<double>{0, 0, 0});
}

TEST_CASE("a frozen parameter on a live tape cannot change either") {
  Parameter w = make("w", {3});
  w.set_requires_grad(false);
  Tape tape;
  const Var x = tape.input(ones({3})), y = sum(x * Var(w));
  CHECK_THROWS_AS(w.update([](Tensor&) {}), TapeError);
  tape.backward(y);
  CHECK_NOTHROW(w.update([](Tensor&) {}));
}

TEST_CASE("a parameter owns dense elements") {
  const Tensor shared = ones({2, 3});
  Parameter view("w", shared.transpose(0, 1)), same("v", shared);
  CHECK(view.value().is_contiguous());
  CHECK_FALSE(same.value().shares_storage(shared));
}

TEST_CASE("a hook sees a recomputed part's parameters once, with their whole gradient") {
  Parameter w = make("w", {2});
  const auto square = [&](const Var& x) { return x * Var(w) * Var(w); };
  std::vector<double> seen;
  {
    const GradHook hook([&](Parameter& p) { seen.push_back(p.grad().to_vector()[0]); });
    Tape tape;
    Var y = recompute(square, Var(w) * 1.0);  // w^3
    y = recompute(square, y);                 // w^5
    tape.backward(sum(y));
  }
  CHECK(seen == std::vector<double>{w.grad().to_vector()[0]});
  CHECK(w.grad().to_vector()[0] == doctest::Approx(5 * std::pow(w.value().to_vector()[0], 4)));
}

TEST_CASE("the innermost hook counts alone, and an empty one silences") {
  Parameter w = make("w", {2});
  const auto sweep = [&] {
    Tape tape;
    tape.backward(sum(Var(w)));
  };
  int outer = 0, inner = 0;
  CHECK(GradHook::current() == nullptr);
  const GradHook hook([&](Parameter&) { ++outer; });
  sweep();
  {
    const GradHook second([&](Parameter&) { ++inner; });
    sweep();
    const GradHook none(nullptr);
    CHECK(GradHook::current() == nullptr);
    sweep();
  }
  sweep();
  CHECK(outer == 2);
  CHECK(inner == 1);
}

TEST_CASE("hooks fire once per parameter, last used first") {
  Parameter a = make("a", {2}), b = make("b", {2}), unused = make("unused", {2});
  std::vector<std::string> fired;
  const GradHook hook([&](Parameter& p) {
    CHECK(p.grad().defined());
    fired.push_back(p.name());
  });
  Tape tape;
  const Var dead = Var(unused) * 2.0;
  tape.backward(sum(Var(a) * Var(b) * Var(a)));
  CHECK(fired == std::vector<std::string>{"b", "a"});
  CHECK_FALSE(unused.grad().defined());
}

TEST_CASE("the sweep frees activations as it goes") {
  Parameter w = make("w", {1 << 16});
  const int64_t before = memory::live_bytes();
  {
    Tape tape;
    Var x = w;
    for (int i = 0; i < 16; ++i) x = tanh(x);
    const Var loss = sum(x);
    x = Var();
    CHECK(memory::live_bytes() - before >= 16 * (int64_t{4} << 16));
    memory::reset_peak();
    const int64_t at_start = memory::live_bytes();
    tape.backward(loss);
    CHECK(memory::peak_bytes() - at_start < 6 * (int64_t{4} << 16));
  }
  w.drop_grad();
  CHECK(memory::live_bytes() == before);
}

TEST_CASE("what is cheap to compute again is not kept for the products after it") {
  Parameter w = make("w", {16, 64}), scale = make("scale", {64}), shift = make("shift", {64});
  const Tensor x = Rng(3, "x").normal({512, 64}, 0, 1);
  const auto kept_by = [&](auto&& function) {  // bytes without x and the result
    Tape tape;
    const Var input = tape.input(x.clone());
    const int64_t before = memory::live_bytes();
    const Var y = linear(function(input), w, {});
    return memory::live_bytes() - before - y.value().nbytes();
  };
  const int64_t activation = x.nbytes();
  CHECK(kept_by([](const Var& v) { return gelu(v); }) < activation / 8);
  CHECK(kept_by([&](const Var& v) { return layer_norm(v, scale, shift, 1e-6); }) < activation / 8);
  CHECK(kept_by([](const Var& v) { return exp(v); }) >= activation);

  const auto gradients = [&](auto&& activate) {
    w.drop_grad();
    Tape tape;
    const Var input = tape.input(x.clone());
    tape.backward(sum(linear(activate(input), w, {})));
    return std::pair(tape.grad(input), w.grad().clone());
  };
  int computed = 0;
  const auto counted = gradients([&](const Var& v) {
    const Var y = gelu(v);
    return recomputable(y, [&computed, t = y.value()] { return ++computed, t; });
  });
  const auto again = gradients([](const Var& v) { return gelu(v); });
  CHECK(computed == 1);
  CHECK(test::max_difference(counted.first, again.first) == 0);
  CHECK(test::max_difference(counted.second, again.second) == 0);
}

TEST_CASE("recompute gives the same gradients, bit for bit, with the same random numbers") {
  Parameter w = make("w", {8, 8}), b = make("b", {8});
  const Tensor input = Rng(1, "x").normal({4, 8}, 0, 1);
  const auto block = [&](const Var& x) { return x + dropout(gelu(linear(x, w, b)), 0.3); };
  const auto run = [&](bool recomputed) {
    w.drop_grad();
    b.drop_grad();
    const RandomScope random(3, 4);
    Tape tape;
    const Var x = tape.input(input);
    Var y = x;
    for (int i = 0; i < 3; ++i) y = recomputed ? recompute(block, y) : block(y);
    const Tensor value = y.value();
    tape.backward(sum(y * y));
    return std::vector<Tensor>{value, tape.grad(x), w.grad().clone(), b.grad().clone()};
  };
  const auto plain = run(false), again = run(true);
  for (size_t i = 0; i < plain.size(); ++i) CHECK(test::max_difference(plain[i], again[i]) <= (i < 2 ? 0 : 2e-6));
}

TEST_CASE("recompute of a function that ignores its argument") {
  Parameter w = make("w", {2});
  Tape tape;
  const Var x = tape.input(ones({2})), y = recompute([&](const Var&) { return Var(w) * 2.0; }, x);
  tape.backward(sum(y));
  CHECK(w.grad().to_vector() == std::vector<double>{2, 2});
  CHECK_FALSE(tape.grad(x).defined());
}

TEST_CASE("recompute refuses variables from outside") {
  Parameter w = make("w", {2});
  Tape tape;
  const Var outside = Var(w) * 2.0;
  CHECK_THROWS_WITH_AS(recompute([&](const Var& x) { return x * outside; }, Var(w)),
                       doctest::Contains("only its argument and parameters"), TapeError);
}

TEST_CASE("the first operation with a NaN is named") {
  const std::string place = "blocks.3.mlp";
  Parameter w = make("w", {2});
  w.update([](Tensor& t) { t.fill_(-1); });
  {
    const TraceNonFinite trace;
    { const TraceNonFinite inner; }  // its end leaves the outer scope in force
    const PathScope path(place);
    Tape tape;
    CHECK_THROWS_WITH_AS(sum(log(Var(w))), doctest::Contains("[log] is the first operation with a NaN"), NumericError);
    CHECK_THROWS_WITH_AS(sum(log(Var(w))), doctest::Contains("in blocks.3.mlp"), NumericError);
  }
  w.update([](Tensor& t) { t.zero_(); });
  const TraceNonFinite trace;
  Tape tape;
  const Var y = sum(sqrt(Var(w)));
  CHECK_THROWS_WITH_AS(tape.backward(y),
                       doctest::Contains("[sqrt] is the first operation with a NaN or infinity in its gradient"),
                       NumericError);
}

TEST_CASE("a report lists what was recorded") {
  Parameter w = make("w", {4, 4});
  Tape tape;
  const Var y = tanh(matmul(Var(w), Var(w)));
  const auto report = tape.report();
  REQUIRE(report.size() == 3);
  CHECK(report[0].op == "parameter");
  CHECK(report[1].op == "matmul");
  CHECK(report[2].op == "tanh");
  CHECK(report[2].shape == Shape{4, 4});
}

TEST_CASE("under autocast products are bf16 and parameter gradients f32") {
  Parameter w = make("w", {8, 8}), b = make("b", {8}), gain = make("gain", {8}), shift = make("shift", {8});
  const Tensor input = Rng(1, "x").normal({4, 8}, 0, 1);
  const auto run = [&](DType precision) {
    for (Parameter* p : {&w, &b, &gain, &shift}) p->drop_grad();
    const Autocast autocast(precision);
    Tape tape;
    const Var h = gelu(linear(layer_norm(input, gain, shift, 1e-6), w, b));
    CHECK(h.dtype() == precision);
    const Var y = linear(h, w, b, DType::f32);
    CHECK(y.dtype() == DType::f32);
    tape.backward(mean(y * y));
    return w.grad().clone();
  };
  const Tensor exact = run(DType::f32), half = run(DType::bf16);
  CHECK(half.dtype() == DType::f32);
  CHECK(test::relative_error(half, exact) < 0.03);
  CHECK(test::relative_error(half, exact) > 0);
  CHECK_THROWS_AS(Autocast{DType::u8}, ConfigError);
}

}  // namespace vitrail::ag
