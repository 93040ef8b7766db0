#include "tests/support/close.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/rng.h"
#include "vitrail/nn/gradcheck.h"
#include "vitrail/nn/pixel_shuffle.h"
#include "vitrail/nn/projector.h"
#include "vitrail/nn/state_io.h"

#include <doctest/doctest.h>

namespace vitrail::nn {

TEST_CASE("pixel shuffle puts a square in one token: row, column, channel") {
  // 2 x 4 tokens of two channels: token t holds 10 t and 10 t + 1.
  const Tensor x = tensor<double>({0, 1, 10, 11, 20, 21, 30, 31, 40, 41, 50, 51, 60, 61, 70, 71}, {1, 8, 2});
  const Tensor y = pixel_shuffle(x, {2, 4}, 2).value();
  CHECK(y.shape() == Shape{1, 2, 8});
  CHECK(y.to_vector() == std::vector<double>{0, 1, 10, 11, 40, 41, 50, 51, 20, 21, 30, 31, 60, 61, 70, 71});
  CHECK(test::max_difference(pixel_shuffle(x, {2, 4}, 1).value(), x) == 0);
  CHECK_THROWS_WITH_AS(pixel_shuffle(x, {2, 4}, 4), doctest::Contains("2 x 4 tokens"), ShapeError);
  CHECK_THROWS_WITH_AS(pixel_shuffle(x, {3, 3}, 3), doctest::Contains("[B, 3 x 3, C]"), ShapeError);
}

TEST_CASE("pixel shuffle: gradients") {
  Rng rng(4, "grids");
  for (int i = 0; i < 4; ++i) {
    const int64_t factor = 1 + rng.below(3), rows = 1 + rng.below(2), columns = 1 + rng.below(3);
    const ag::Grid grid{rows * factor, columns * factor};
    const Shape shape{1 + rng.below(2), grid.height * grid.width, 1 + rng.below(3)};
    CAPTURE(shape);
    CHECK(ag::gradcheck([&](const ag::Vars& v) { return square(pixel_shuffle(v[0], grid, factor)); }, {shape}).ok);
  }
}

TEST_CASE("a projector of any depth") {
  const auto names = [](const ProjectorConfig& config) {
    std::string all;
    for (const auto& [name, value] : state(Projector(Scope(0), 3, 5, config))) all += name + " ";
    return all;
  };
  CHECK(names({}) == "linear_1.bias linear_1.weight linear_2.bias linear_2.weight ");
  CHECK(names({.depth = 1, .bias = false}) == "linear_1.weight ");
  for (int64_t depth = 0; depth < 4; ++depth) {
    CAPTURE(depth);
    Projector projector(Scope(2, DType::f64), 4, depth == 0 ? 4 : 5, {.depth = depth, .gelu = ag::Gelu::tanh});
    CHECK(gradcheck(projector, {Shape{2, 3, 4}}).ok);
  }
  CHECK_THROWS_WITH_AS(Projector(Scope(0), 3, 5, {.depth = 0}), doctest::Contains("width 3 for embeddings of width 5"),
                       ConfigError);
}

TEST_CASE("the projector is its formula") {
  Projector projector(Scope(7, DType::f64), 3, 2);
  const Tensor x = Rng(1, "x").normal({4, 3}, 0, 1, DType::f64);
  const auto layer = [](const Tensor& in, Linear& l) { return core::linear(in, l.weight.value(), l.bias->value()); };
  const Tensor hidden = gelu(ag::Var(layer(x, projector.linears[0]))).value();
  CHECK(test::max_difference(projector(x).value(), layer(hidden, projector.linears[1])) < 1e-15);
}

}  // namespace vitrail::nn
