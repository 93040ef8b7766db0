#include "tests/support/close.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/nn/dropout.h"
#include "vitrail/nn/linear.h"
#include "vitrail/nn/mlp.h"
#include "vitrail/nn/module.h"
#include "vitrail/nn/norm.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/weight_norm.h"

#include <doctest/doctest.h>

namespace vitrail::nn {
namespace {

struct Pair final : Module<Pair> {
  explicit Pair(const Scope& scope)
      : Module(scope), first(sub("first"), 3, 4), items(sub("items")), scale(sub("scale"), {4}, init::ones()) {
    items.add(4, 4);
    items.add(4, 2);
  }
  Var forward(const Var& x) { return items[1](items[0](first(x) * Var(scale))); }
  Linear first;
  ModuleList<Linear> items;
  Param scale;
};

std::vector<std::string> names(const ModuleBase& m) {
  std::vector<std::string> out;
  for (const Parameter* p : m.parameters()) out.push_back(p->name());
  return out;
}

}  // namespace

TEST_CASE("parameters carry their full names, own ones first") {
  Pair pair{Scope(1)};
  CHECK(names(pair) == std::vector<std::string>{"scale", "first.weight", "first.bias", "items.0.weight", "items.0.bias",
                                                "items.1.weight", "items.1.bias"});
  CHECK(pair.parameter_count() == 4 + 16 + 20 + 10);
  CHECK(pair.parameter("items.1.bias").shape() == Shape{2});
  CHECK_THROWS_WITH_AS(pair.parameter("items.1.bia"), doctest::Contains("no parameter 'items.1.bia'"), ConfigError);
}

TEST_CASE("a scope builds one thing, and a parameter needs a module") {
  struct Slip final : Module<Slip> {
    explicit Slip(const Scope& scope) : Module(scope), first(scope, 3, 3) {}  // a mistake: should be sub("first")
    Linear first;
  };
  CHECK_THROWS_WITH_AS(Slip{Scope(0)}, doctest::Contains("has already built something; give each part its own scope"),
                       ConfigError);
  struct Twice final : Module<Twice> {
    explicit Twice(const Scope& scope) : Module(scope), first(sub("a"), 3, 3), second(sub("a"), 3, 3) {}
    Linear first, second;
  };
  CHECK_THROWS_WITH_AS(Twice{Scope(0)}, doctest::Contains("has two parts called 'a'"), ConfigError);
  CHECK_THROWS_WITH_AS((Param{Scope(0), {3}, init::ones()}), doctest::Contains("sub(\"name\")"), ConfigError);
  const Scope scope(0);
  const Linear model(scope, 3, 3);
  CHECK_NOTHROW(Linear(scope.without_values(), 3, 3));  // another model in the same scope
}

TEST_CASE("modules are found by type") {
  Pair pair{Scope(1)};
  std::vector<std::string> found;
  for (const Linear* layer : pair.modules<Linear>()) found.push_back(layer->name());
  CHECK(found == std::vector<std::string>{"first", "items.0", "items.1"});
}

TEST_CASE("initial values follow from seed and name alone") {
  Pair a{Scope(1)}, b{Scope(1, DType::f32, "student")}, other{Scope(2)};
  CHECK(test::max_difference(a.parameter("items.0.weight").value(), b.parameter("items.0.weight").value()) == 0);
  CHECK(test::max_difference(a.parameter("items.0.weight").value(), other.parameter("items.0.weight").value()) > 0);
  Linear alone(Scope(1), 4, 4);
  CHECK(test::max_difference(a.parameter("items.0.weight").value(), alone.weight.value()) > 0);
}

TEST_CASE("an error names the place in the model") {
  Pair pair{Scope(1, DType::f32, "student")};
  CHECK_THROWS_WITH_AS(pair(ones({2, 5})), doctest::Contains("in student.first"), ShapeError);
}

TEST_CASE("train, eval and freeze reach all children") {
  Pair pair{Scope(1)};
  CHECK(pair.items[1].is_training());
  pair.eval();
  CHECK_FALSE(pair.items[1].is_training());
  pair.freeze();
  CHECK_FALSE(pair.items[1].weight.requires_grad());
  pair.freeze(false);
  CHECK(pair.items[1].weight.requires_grad());
}

TEST_CASE("weights go out and in under their names, strictly") {
  Pair a{Scope(1)}, b{Scope(2)};
  copy_state(b, a);
  CHECK(test::max_difference(a.first.weight.value(), b.first.weight.value()) == 0);

  TensorMap map = state(a);
  map.erase("first.bias");
  map["items.0.weight"] = zeros({3, 3});
  map["extra"] = zeros({1});
  CHECK_THROWS_WITH_AS(load_state(b, map, "last.h5"), doctest::Contains("missing: first.bias"), IoError);
  CHECK_THROWS_WITH_AS(load_state(b, map, "last.h5"), doctest::Contains("unexpected: extra"), IoError);
  CHECK_THROWS_WITH_AS(load_state(b, map, "last.h5"),
                       doctest::Contains("'items.0.weight' is [3, 3] in the file, [4, 4] in the model"), IoError);
  map["scale"] = full({4}, 7);
  const LoadReport report = load_state(b, map, "last.h5", Strict::no);
  CHECK(report.missing == std::vector<std::string>{"first.bias"});
  CHECK(b.scale.value().to_vector() == std::vector<double>{7, 7, 7, 7});
}

TEST_CASE("weights that a module can hold as they are need no copy") {
  Pair a{Scope(1)}, b{Scope(2)};
  TensorMap map = state(a);
  const Tensor transposed = map.at("items.0.weight").clone().transpose(0, 1);
  map["items.0.weight"] = transposed;
  map["first.bias"] = map.at("first.bias").to(DType::bf16);
  share_state(b, map, "file");
  CHECK(b.first.weight.value().shares_storage(a.first.weight.value()));
  CHECK(b.scale.value().shares_storage(a.scale.value()));
  CHECK_FALSE(b.items[0].weight.value().shares_storage(transposed));
  CHECK(test::max_difference(b.items[0].weight.value(), transposed) == 0);
  CHECK(b.first.bias->value().dtype() == DType::f32);
  CHECK(test::max_difference(b.first.bias->value(), map.at("first.bias").to(DType::f32)) == 0);
  map.erase("scale");
  CHECK_THROWS_WITH_AS(share_state(b, map, "file"), doctest::Contains("missing: scale"), IoError);
}

TEST_CASE("a summary lists calls with shapes, parameters and multiply-accumulates") {
  Pair pair{Scope(1)};
  const auto rows = summarize([&] { pair(ones({5, 3})); });
  REQUIRE(rows.size() == 4);
  CHECK(rows[0].name.empty());
  CHECK(rows[0].macs == 5 * (3 * 4 + 4 * 4 + 4 * 2));
  CHECK(rows[3].name == "items.1");
  CHECK(rows[3].output == Shape{5, 2});
  CHECK(rows[3].parameters == 10);
  CHECK(to_table(rows).find("items.1") != std::string::npos);
}

TEST_CASE("a summary counts a call that returns several tensors") {
  struct Halves final : Module<Halves> {
    explicit Halves(const Scope& scope) : Module(scope), layer(sub("layer"), 3, 4) {}
    std::pair<Var, Var> forward(const Var& x) {
      const Var y = layer(x);
      return {slice(y, 1, 0, 2), slice(y, 1, 2, 4)};
    }
    Linear layer;
  };
  Halves halves{Scope(1)};
  const auto rows = summarize([&] { halves(ones({5, 3})); });
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].macs == 5 * 3 * 4);
  CHECK(rows[0].macs == rows[1].macs);
}

TEST_CASE("batch norm keeps running averages with unbiased variance") {
  BatchNorm2d bn{Scope(1), 2};
  const Tensor x = tensor<float>({1, 2, 3, 4, 5, 6, 7, 8}, {2, 2, 1, 2});
  bn(x);
  // channel 0: 1 2 5 6, mean 3.5, unbiased variance 17 / 3
  CHECK(bn.running_mean.value().to_vector()[0] == doctest::Approx(0.35));
  CHECK(bn.running_var.value().to_vector()[0] == doctest::Approx(0.9 + 0.1 * 17.0 / 3));
  CHECK(state(bn).contains("running_var"));
  bn.eval();
  const Tensor before = bn.running_mean.value().clone();
  bn(x);
  CHECK(test::max_difference(before, bn.running_mean.value()) == 0);
}

TEST_CASE("dropout keeps the mean and does nothing in evaluation") {
  Dropout drop{Scope(1), 0.25};
  const Tensor x = ones({100, 100});
  const Tensor y = drop(x).value();
  const auto values = y.to_vector();
  const double kept = double(std::count_if(values.begin(), values.end(), [](double v) { return v != 0; })) / 1e4;
  CHECK(kept == doctest::Approx(0.75).epsilon(0.03));
  CHECK(*std::max_element(values.begin(), values.end()) == doctest::Approx(1 / 0.75));
  drop.eval();
  CHECK(drop(x).value().shares_storage(x));
  DropPath path{Scope(1), 0.5};
  const auto rows = path(ones({64, 3, 2})).value();
  for (int64_t i = 0; i < 64; ++i) {
    const double first = rows.select(0, i).select(0, 0).select(0, 0).item();
    CHECK((first == 0 || first == 2));
    CHECK(rows.select(0, i).to_vector() == std::vector<double>(6, first));
  }
}

TEST_CASE("a weight-normalised layer is a linear layer with its directions scaled to their lengths") {
  for (const DType dtype : {DType::f64, DType::bf16}) {
    CAPTURE(dtype);
    const DType master = dtype == DType::f64 ? DType::f64 : DType::f32;
    const double tolerance = dtype == DType::f64 ? 1e-12 : 2e-2;
    const ag::Autocast autocast(dtype);
    WeightNormLinear layer(Scope(1, master), 32, 50);
    Rng rng(1, "lengths");
    layer.weight_g.update([&](Tensor& g) { g.copy_(rng.uniform(g.shape(), 0.5, 1.5, master)); });
    const Tensor x = rng.normal({6, 32}, 0, 1, master), dy = rng.normal({6, 50}, 0, 1, master);
    const auto run = [&](bool composed) {
      layer.zero_grad();
      ag::Tape tape;
      const Var input = tape.input(x);
      const Var w = l2_normalize(layer.weight_v, 0) * Var(layer.weight_g);
      const Var y = composed ? linear(input, w, {}, DType::f32) : layer(input);
      CHECK(y.dtype() == master);
      tape.backward(y, dy);
      return std::vector<Tensor>{y.value(), tape.grad(input), layer.weight_v.grad(), layer.weight_g.grad()};
    };
    const auto fused = run(false), composed = run(true);
    for (size_t i = 0; i < fused.size(); ++i) {
      CAPTURE(i);
      CHECK(test::relative_error(fused[i], composed[i]) < tolerance);
    }
  }
}

TEST_CASE("initialisers have their published spread") {
  Rng rng(1, "init");
  const auto deviation = [](const Tensor& t) { return core::norm(t) / std::sqrt(double(t.numel())); };
  CHECK(deviation(init::trunc_normal(0.02)({100, 100}, DType::f32, rng)) == doctest::Approx(0.02).epsilon(0.03));
  CHECK(deviation(init::xavier_uniform()({100, 200}, DType::f32, rng)) ==
        doctest::Approx(std::sqrt(2.0 / 300)).epsilon(0.03));
  CHECK(deviation(init::kaiming_uniform()({100, 300}, DType::f32, rng)) ==
        doctest::Approx(1 / std::sqrt(3.0 * 300)).epsilon(0.03));
  CHECK(deviation(init::kaiming_normal_fan_out()({50, 30, 3, 3}, DType::f32, rng)) ==
        doctest::Approx(std::sqrt(2.0 / 450)).epsilon(0.03));
  const auto even = init::uniform(0.3)({1000}, DType::f64, rng).to_vector();
  CHECK(*std::max_element(even.begin(), even.end()) == doctest::Approx(0.3).epsilon(0.03));
  CHECK(*std::min_element(even.begin(), even.end()) == doctest::Approx(-0.3).epsilon(0.03));
  const auto cut = init::trunc_normal(1, 0.5)({1000}, DType::f64, rng).to_vector();
  CHECK(*std::max_element(cut.begin(), cut.end()) <= 0.5);
}

TEST_CASE("SwiGLU is as wide as DINOv2 makes it") {
  CHECK(swiglu_hidden(1536, 4) == 4096);
  CHECK(swiglu_hidden(8, 4) == 24);
}

}  // namespace vitrail::nn
