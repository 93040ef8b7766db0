#include "tests/support/close.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/reference/rope.h"
#include "vitrail/core/rng.h"

#include <doctest/doctest.h>

#include <cmath>

namespace vitrail::core {
namespace {

using test::max_difference;

Tensor turned(const Tensor& x, const Rope& rope, bool inverse = false) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  rotate(x, rope, inverse, y);
  return y;
}

}  // namespace

TEST_CASE("rotary positions agree with their definition in every type, on any grid") {
  for (const Grid grid : {Grid{1, 1}, {2, 3}, {5, 4}, {14, 14}})
    for (const int64_t prefix : {0, 1, 5})
      for (const int64_t dim : {4, 8, 64}) {
        CAPTURE(grid.height);
        CAPTURE(prefix);
        CAPTURE(dim);
        const Shape shape{2, 3, prefix + grid.height * grid.width, dim};
        const Tensor x = Rng(4, "x").normal(shape, 0, 1, DType::f64);
        const Tensor expected = reference::rope(x, grid.height, grid.width, 100);
        CHECK(max_difference(turned(x, make_rope(grid, dim, 100, DType::f64)), expected) < 1e-13);
        const Rope rope = make_rope(grid, dim, 100, DType::f32);
        CHECK(max_difference(turned(x.to(DType::f32), rope), expected) < 2e-6);
        CHECK(max_difference(turned(x.to(DType::bf16), rope), expected) < 4e-2);
      }
}

TEST_CASE("the angles are those of DINOv3") {
  // A grid of 2 x 4 and heads of width 8: periods 1 and 10; rows at -0.5, 0.5; columns at -0.75, -0.25, 0.25, 0.75.
  const Rope rope = make_rope({2, 4}, 8, 100, DType::f64);
  REQUIRE(rope.cos.shape() == Shape{8, 4});
  const std::vector<double> sin = rope.sin.slice(0, 7, 8).to_vector(), cos = rope.cos.slice(0, 7, 8).to_vector();
  const double angles[] = {M_PI, 0.1 * M_PI, 1.5 * M_PI, 0.15 * M_PI};
  for (size_t i = 0; i < 4; ++i) {
    CHECK(sin[i] == doctest::Approx(std::sin(angles[i])));
    CHECK(cos[i] == doctest::Approx(std::cos(angles[i])));
  }
}

TEST_CASE("a rotation keeps lengths, ends with its inverse, and leaves prefix tokens alone") {
  const Tensor x = Rng(4, "x").normal({2, 2, 3 + 12, 16}, 0, 1, DType::f64);
  const Rope rope = make_rope({3, 4}, 16, 100, DType::f64);
  const Tensor y = turned(x, rope);
  CHECK(norm(y) == doctest::Approx(norm(x)));
  CHECK(max_difference(turned(y, rope, true), x) < 1e-14);
  CHECK(max_difference(y.slice(2, 0, 3), x.slice(2, 0, 3)) == 0);
  CHECK(max_difference(y.slice(2, 3, 15), x.slice(2, 3, 15)) > 0.1);
}

TEST_CASE("rotary positions name what does not fit") {
  using doctest::Contains;
  CHECK_THROWS_WITH_AS(make_rope({2, 2}, 6, 100, DType::f32), Contains("heads have 6 dimensions"), ShapeError);
  CHECK_THROWS_WITH_AS(make_rope({2, 2}, 8, 0, DType::f32), Contains("base of the periods is 0"), ConfigError);
  const Rope rope = make_rope({2, 2}, 8, 100, DType::f32);
  CHECK_THROWS_WITH_AS(turned(zeros({1, 1, 3, 8}), rope), Contains("at least the 4 tokens of the patches"), ShapeError);
  CHECK_THROWS_WITH_AS(turned(zeros({1, 1, 4, 8}, DType::f64), rope), Contains("the angles are f32; f64 needs f64"),
                       ShapeError);
}

}  // namespace vitrail::core
