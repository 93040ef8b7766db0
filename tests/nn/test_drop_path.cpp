// Stochastic depth on a subset of the batch.
#include "tests/support/close.h"
#include "vitrail/autograd/gradcheck.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/nn/transformer_block.h"

#include <doctest/doctest.h>

#include <set>

namespace vitrail::nn {
namespace {

BlockConfig small_block(double p, DropPathMode mode) {
  return {.attn = {.dim = 6, .num_heads = 2},
          .ffn_hidden = 10,
          .layerscale_init = 0.5,
          .drop_path = p,
          .drop_path_mode = mode};
}

/// A block that draws the same samples in every call.
struct SameDraws {
  explicit SameDraws(double p) : block(Scope(1, DType::f64), small_block(p, DropPathMode::subset)) {}
  std::vector<Parameter*> parameters() { return block.parameters(); }
  Var operator()(const Var& x) {
    const ag::RandomScope random(4, 2);
    return block(x);
  }
  TransformerBlock block;
};

}  // namespace

TEST_CASE("drop path on a subset adds the branch of floor of B times 1 - p samples, scaled by B over their number") {
  const Scope scope(1, DType::f64);
  DropPath layer(scope, 0.4, DropPathMode::subset);
  const int64_t batch = 5;
  const Tensor x = Rng(2, "x").normal({batch, 2, 3}, 0, 1, DType::f64);
  std::set<std::set<int64_t>> draws;
  for (uint64_t step = 0; step < 20; ++step) {
    Tensor samples;
    const auto branch = [&](const Tensor& chosen) {
      samples = chosen;
      return square(index_select(x, 0, chosen));
    };
    const ag::RandomScope random(3, step);
    const Tensor y = layer.add(x, branch).value();
    REQUIRE(samples.shape() == Shape{3});
    const auto kept = samples.span<int64_t>();
    const std::set<int64_t> chosen(kept.begin(), kept.end());
    CHECK(chosen.size() == 3);
    draws.insert(chosen);
    for (int64_t b = 0; b < batch; ++b) {
      const Tensor before = x.select(0, b);
      const Tensor expected = chosen.contains(b) ? before + core::mul(before, before) * (5.0 / 3.0) : before;
      CHECK(test::max_difference(y.select(0, b), expected) < 1e-14);
    }
  }
  CHECK(draws.size() > 3);  // of ten subsets
}

TEST_CASE("at least one sample goes through a branch, and all do where nothing is dropped") {
  const ag::RandomScope random(1, 1);
  DropPath layer(Scope(), 0.9, DropPathMode::subset);
  CHECK(layer.subset(4).shape() == Shape{1});
  CHECK(layer.subset(1).to_vector() == std::vector<double>{0});
  layer.eval();
  CHECK_FALSE(layer.subset(4).defined());
  CHECK_FALSE(DropPath(Scope(), 0, DropPathMode::subset).subset(4).defined());
  CHECK_FALSE(DropPath(Scope(), 0.9, DropPathMode::mask).subset(4).defined());
}

TEST_CASE("a block on a subset computes what its branches give for these samples, in all rows or the first ones") {
  const DropPathMode mode = DropPathMode::subset;
  TransformerBlock block(Scope(7, DType::f64), small_block(0.5, mode));
  const Tensor x = Rng(5, "x").normal({6, 4, 6}, 0, 1, DType::f64);
  Tensor kept[2];
  {
    const ag::RandomScope random(9, 3);
    for (Tensor& samples : kept) samples = block.drop_path.subset(6);
  }
  const auto doubled_at = [](const Tensor& samples, const Var& branch) {
    Tensor factor = zeros({6, 1, 1}, DType::f64);
    for (const int64_t i : samples.span<int64_t>()) factor.span<double>()[size_t(i)] = 2;
    return branch * factor;
  };
  const Var h = Var(x) + doubled_at(kept[0], (*block.ls1)((*block.attn)((*block.norm1)(x))));
  const Tensor expected = (h + doubled_at(kept[1], (*block.ls2)((*block.mlp)((*block.norm2)(h))))).value();
  const auto run = [&](const Rows& rows) {
    const ag::RandomScope random(9, 3);
    return block(x, rows).value();
  };
  CHECK(test::max_difference(run({}), expected) < 1e-13);
  CHECK(test::max_difference(run({.first = 1, .places = {}}), expected.slice(1, 0, 1)) < 1e-13);
  const Tensor places = tensor<int64_t>({0, 3, 1, 2, 2, 1}, {6, 1});
  const Tensor at_places = run({.first = {}, .places = places});
  for (int64_t b = 0; b < 6; ++b)
    CHECK(test::max_difference(at_places.select(0, b).select(0, 0),
                               expected.select(0, b).select(0, places.span<int64_t>()[size_t(b)])) < 1e-13);
}

TEST_CASE("gradients of a block on a subset of the batch") {
  Rng rng(8, "shapes");
  for (int i = 0; i < 5; ++i) {
    SameDraws block(0.2 + 0.15 * i);
    const auto report = ag::gradcheck(block, {Shape{1 + rng.below(5), 1 + rng.below(4), 6}});
    CAPTURE(ag::to_string(report));
    CHECK(report.ok);
  }
}

}  // namespace vitrail::nn
