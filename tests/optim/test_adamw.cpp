#include "tests/optim/parameters.h"
#include "tests/support/close.h"
#include "vitrail/core/error.h"
#include "vitrail/core/parallel.h"
#include "vitrail/optim/adamw.h"

using namespace vitrail;
using optim::AdamW;
using test::Parameters;

TEST_CASE("AdamW takes the steps of the paper") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Parameters ps;
    ag::Parameter& p = ps.add("p", full({1}, 0.5, dtype));
    AdamW adamw({{ps.all()}});
    const double grads[] = {0.1, -0.2, 0.3}, expected[] = {0.4989750001, 0.4993161549, 0.4989479480};
    for (int i = 0; i < 3; ++i) {
      p.grad() = full({1}, grads[i], dtype);
      adamw.step(1e-3, 0.05);
      CHECK(p.value().item() == doctest::Approx(expected[i]).epsilon(dtype == DType::f64 ? 1e-10 : 1e-6));
    }
  }
}

TEST_CASE("a parameter without gradient is left alone and counts its own steps") {
  Parameters ps;
  ag::Parameter& a = ps.add("a", Shape{3});
  ag::Parameter& b = ps.add("b", Shape{3});
  AdamW adamw({{ps.all()}});
  const auto before = b.value().to_vector();
  a.grad() = ones({3});
  adamw.step(0.1, 0.1);
  CHECK(b.value().to_vector() == before);
  TensorMap state = adamw.state();
  CHECK(state.at("a/step").item() == 1);
  CHECK(state.at("b/step").item() == 0);
  CHECK_FALSE(state.contains("b/exp_avg"));
  adamw.zero_grad();
  CHECK_FALSE(a.grad().defined());
  adamw.step(0.1, 0.1);
  CHECK(adamw.state().at("a/step").item() == 1);
}

TEST_CASE("groups scale learning rate and weight decay") {
  Parameters ps;
  ag::Parameter& slow = ps.add("slow", ones({1}));
  ag::Parameter& free = ps.add("free", ones({1}));
  AdamW adamw({{.parameters = {&slow}, .lr_scale = 0.5}, {.parameters = {&free}, .weight_decay_scale = 0}});
  slow.grad() = zeros({1});
  free.grad() = zeros({1});
  adamw.step(0.1, 0.1);
  CHECK(slow.value().item() == doctest::Approx(1 - 0.05 * 0.1));
  CHECK(free.value().item() == 1);
}

TEST_CASE("a rate of 0 keeps the value while the moments go on") {
  ag::Parameter held{"held", tensor<float>({1, 2}, {2})}, free{"free", tensor<float>({1, 2}, {2})};
  ag::Parameter other{"other", zeros({1})};
  AdamW optimizer({{.parameters = {&held, &free}}});
  optimizer.set_lr_scale(held, 0);
  for (ag::Parameter* p : {&held, &free}) p->grad() = tensor<float>({0.5, -1}, {2});
  optimizer.step(0.1, 0.1);
  CHECK(held.value().to_vector() == std::vector<double>{1, 2});
  CHECK(free.value().to_vector() != std::vector<double>{1, 2});
  CHECK(optimizer.state().at("held/exp_avg").to_vector() == optimizer.state().at("free/exp_avg").to_vector());
  CHECK(optimizer.state().at("held/step").item() == 1);
  CHECK_THROWS_WITH_AS(optimizer.set_lr_scale(other, 1), doctest::Contains("'other' is in no group"), ConfigError);
}

TEST_CASE("saved, loaded and continued equals not stopping, whatever the threads") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const optim::AdamWOptions options{.amsgrad = true};
    const int threads = num_threads();
    const auto make = [&](Parameters& ps) {
      ps.add("large", Shape{130, 257}, dtype);
      ps.add("small", Shape{7}, dtype);
    };
    const auto run = [](AdamW& adamw, Parameters& ps, int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        ps.set_grads(i);
        adamw.step(0.01, 0.1);
      }
    };
    Parameters through, first, second;
    make(through);
    make(first);
    AdamW whole({{through.all()}}, options), begun({{first.all()}}, options);
    run(whole, through, 0, 6);
    set_num_threads(1);
    run(begun, first, 0, 3);
    for (const ag::Parameter* p : first.all()) second.add(p->name(), p->value().clone());
    AdamW resumed({{second.all()}}, options);
    resumed.load_state(begun.state());
    run(begun, first, 3, 4);  // the loaded state is a copy
    run(resumed, second, 3, 6);
    set_num_threads(threads);
    for (size_t i = 0; i < through.all().size(); ++i)
      CHECK(through.all()[i]->value().to_vector() == second.all()[i]->value().to_vector());
  }
}

TEST_CASE("load_state is strict and changes nothing when it throws") {
  Parameters ps;
  ps.add("w", Shape{2, 3});
  AdamW adamw({{ps.all()}});
  ps.set_grads(0);
  adamw.step(0.1, 0);
  const TensorMap good = adamw.state();

  TensorMap state = good;
  state.erase("w/exp_avg_sq");
  CHECK_THROWS_WITH_AS(adamw.load_state(state),
                       "[load_state] the optimizer needs 'w/exp_avg_sq', which the state does not have", ConfigError);
  state = good;
  state["v/step"] = scalar(1, DType::i64);
  CHECK_THROWS_WITH_AS(adamw.load_state(state), "[load_state] the optimizer has no 'v/step'", ConfigError);
  state = good;
  state["w/step"] = scalar(5, DType::i64);
  state["w/exp_avg"] = zeros({3, 2});
  CHECK_THROWS_WITH_AS(adamw.load_state(state), "[load_state] 'w/exp_avg' is f32 [3, 2], f32 [2, 3] is needed",
                       ShapeError);
  CHECK(adamw.state().at("w/step").item() == 1);
}

TEST_CASE("misuse is named") {
  Parameters ps;
  ag::Parameter& w = ps.add("w", Shape{2});
  CHECK_THROWS_WITH_AS(AdamW({{{&w, &w}}}), "[optimizer] parameter 'w' is given twice", ConfigError);
  CHECK_THROWS_WITH_AS(AdamW(std::vector<optim::ParamGroup>()), doctest::Contains("there are no parameters to update"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(AdamW({{ps.all()}}, {.beta2 = 1}), doctest::Contains("a beta is 1"), ConfigError);
  AdamW adamw({{ps.all()}});
  w.grad() = zeros({3});
  CHECK_THROWS_WITH_AS(adamw.step(0.1, 0), "[step] 'w/grad' is f32 [3], f32 [2] is needed", ShapeError);
}
