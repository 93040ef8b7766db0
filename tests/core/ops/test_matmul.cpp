#include "tests/support/close.h"
#include "vitrail/core/dnnl/matmul.h"
#include "vitrail/core/dnnl/stats.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/reference/matmul.h"
#include "vitrail/core/rng.h"

#include <doctest/doctest.h>

#include <cstring>

namespace vitrail::core {
namespace {

using test::max_difference;
using test::relative_error;

/// Normal elements, the same values in every type: those bf16 can hold.
Tensor random(const Shape& shape, DType dtype, uint64_t stream) {
  return Rng(7, stream).normal(shape, 0, 1).to(DType::bf16).to(dtype);
}

/// The same values, seen through a view with gaps between rows (1), stored transposed (2) or with steps (3).
Tensor laid_out(const Tensor& t, int layout) {
  if (layout == 0) return t;
  if (layout == 2) return t.transpose(-1, -2).contiguous().transpose(-1, -2);
  const int step = layout == 1 ? 1 : 2;
  Tensor wide = zeros(t.shape().with(-1, t.size(-1) * step + 3), t.dtype());
  Tensor view = wide.slice(-1, 0, t.size(-1) * step, step);
  return view.copy_(t);
}

bool bit_equal(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), size_t(a.nbytes())) == 0;
}

/// f32 differs by the order of summation, bf16 also by the rounding of the result.
double tolerance(DType out) { return out == DType::bf16 ? 6e-3 : 3e-6; }

const std::pair<Shape, Shape> kShapes[] = {
    {{2, 3}, {3, 4}},
    {{1, 1}, {1, 1}},
    {{1, 5}, {5, 1}},
    {{5, 1}, {1, 5}},
    {{7, 33}, {33, 1}},
    {{1, 64}, {64, 48}},
    {{17, 19}, {19, 23}},
    {{65, 64}, {64, 65}},
    {{128, 300}, {300, 70}},
    {{3, 0}, {0, 2}},
    {{0, 3}, {3, 2}},
    {{2, 3}, {3, 0}},
    {{4, 2, 3}, {3, 5}},
    {{4, 2, 3}, {4, 3, 5}},
    {{4, 2, 3}, {1, 3, 5}},
    {{2, 3}, {6, 3, 5}},
    {{2, 3, 5, 7}, {2, 3, 7, 4}},
    {{2, 1, 5, 7}, {1, 3, 7, 4}},
    {{3, 5, 7}, {2, 1, 7, 4}},
    {{1, 1, 5, 7}, {7, 4}},
    {{0, 5, 7}, {7, 4}},
    {{2, 0, 5, 7}, {2, 0, 7, 4}},
    {{5, 17, 16}, {5, 16, 17}},
};

}  // namespace

TEST_CASE("matmul agrees with the reference for every shape, layout, transposition and type") {
  uint64_t stream = 0;
  for (const auto& shapes : kShapes)
    for (int variant = 0; variant < 16; variant += 3) {  // every layout and transposition, a few together
      const auto& a_shape = shapes.first;
      const auto& b_shape = shapes.second;
      const bool ta = variant & 1, tb = variant & 2;
      const int layout_a = variant % 4, layout_b = variant / 4;
      CAPTURE(a_shape);
      CAPTURE(b_shape);
      CAPTURE(variant);
      const Tensor a = random(a_shape, DType::f64, ++stream), b = random(b_shape, DType::f64, ++stream);
      const Tensor expected = reference::matmul(a, b);
      for (const auto& types : {std::pair{DType::f32, DType::f32},
                                {DType::bf16, DType::bf16},
                                {DType::bf16, DType::f32},
                                {DType::f64, DType::f64}}) {
        const DType in = types.first, out = types.second;
        CAPTURE(in);
        CAPTURE(out);
        const Tensor left = laid_out(ta ? a.to(in).transpose(-1, -2).contiguous() : a.to(in), layout_a);
        const Tensor right = laid_out(tb ? b.to(in).transpose(-1, -2).contiguous() : b.to(in), layout_b);
        const Tensor y = matmul(left, right, ta ? Trans::yes : Trans::no, tb ? Trans::yes : Trans::no, out);
        CHECK(y.dtype() == out);
        CHECK(y.is_contiguous());
        CHECK(relative_error(y, expected) < tolerance(out));
      }
    }
}

TEST_CASE("linear and its gradients agree with the reference") {
  uint64_t stream = 100;
  for (const Shape& x_shape : {Shape{3, 4}, {7}, {2, 5, 33}, {2, 3, 4, 8}, {0, 6}, {3, 0}, {64, 65, 48}})
    for (int64_t out_features : {1, 5, 40})
      for (int layout : {0, 1, 3})
        for (DType in : {DType::f32, DType::bf16}) {
          CAPTURE(x_shape);
          CAPTURE(out_features);
          CAPTURE(in);
          const int64_t features = x_shape[-1];
          const Tensor x = random(x_shape, DType::f64, ++stream), bias = random({out_features}, DType::f64, ++stream);
          const Tensor weight = random({out_features, features}, DType::f64, ++stream);
          const Tensor dy = random(x_shape.with(-1, out_features), DType::f64, ++stream);
          const Tensor xs = laid_out(x.to(in), layout), dys = laid_out(dy.to(in), layout), w = weight.to(in);

          CHECK(relative_error(linear(xs, w, bias.to(in)), linear(x, weight, bias)) < tolerance(in));
          CHECK(relative_error(linear(xs, w, bias.to(DType::f32), DType::f32), linear(x, weight, bias)) < 3e-6);
          CHECK(relative_error(linear(xs, w, {}), linear(x, weight, {})) < tolerance(in));
          CHECK(relative_error(linear_backward_input(dys, w), linear_backward_input(dy, weight)) < tolerance(in));
          const Tensor dw = linear_backward_weight(dys, xs);
          CHECK(dw.dtype() == DType::f32);
          CHECK(relative_error(dw, linear_backward_weight(dy, x)) < 3e-6);
          // A gradient in f32 through a product whose factors are bf16, as autocast makes it.
          CHECK(relative_error(linear_backward_input(dy.to(DType::f32), w, in), linear_backward_input(dy, weight)) <
                tolerance(in));
        }
}

TEST_CASE("products whose second factor has lines that collide in the cache are right, in panels of columns") {
  struct Row {
    Shape x, weight;
  };
  // Rows 4 KB and 12 KB apart, read by both gradients; columns 256 bytes apart, read by the outputs.
  for (const Row& row : {Row{{520, 8}, {520, 1024}}, Row{{516, 5}, {516, 3072}}, Row{{1540, 64}, {50, 64}}}) {
    const bool outputs = row.x[1] == row.weight[1];
    const Tensor a = random(row.x, DType::f64, 1), b = random(row.weight, DType::f64, 2);
    const Tensor a32 = a.to(DType::f32), b32 = b.to(DType::f32);
    if (outputs) {
      const Tensor bias = random({row.weight[0]}, DType::f64, 3);
      CHECK(relative_error(linear(a32, b32, bias.to(DType::f32)), linear(a, b, bias)) < tolerance(DType::f32));
    } else {
      const Tensor dy = random({600, row.weight[0]}, DType::f64, 3);
      CHECK(relative_error(linear_backward_input(dy.to(DType::f32), b32), linear_backward_input(dy, b)) <
            tolerance(DType::f32));
      const Tensor wide = random({row.x[1], 515}, DType::f64, 4),
                   tokens = random({row.x[1], row.weight[1]}, DType::f64, 5);
      CHECK(relative_error(linear_backward_weight(wide.to(DType::f32), tokens.to(DType::f32)),
                           linear_backward_weight(wide, tokens)) < tolerance(DType::f32));
    }
  }
}

TEST_CASE("linear is x weight' + bias") {
  const Tensor x = random({3, 4}, DType::f64, 1), w = random({5, 4}, DType::f64, 2), b = random({5}, DType::f64, 3);
  Tensor expected = zeros({3, 5}, DType::f64);
  expected.copy_(b);
  const Tensor product = matmul(x, w.transpose(0, 1).contiguous());
  const auto bias = expected.to_vector(), values = product.to_vector(), y = linear(x, w, b).to_vector();
  for (size_t i = 0; i < y.size(); ++i) CHECK(y[i] == doctest::Approx(bias[i] + values[i]));
}

TEST_CASE("oneDNN's own bf16 products are right, in use on this processor or not") {
  const Tensor a = random({33, 40}, DType::bf16, 1), b = random({40, 21}, DType::bf16, 2);
  Tensor c = zeros({33, 21}, DType::bf16), d = zeros({33, 21});
  const Matrix<const bf16> left{a.data<bf16>(), 33, 40, 40, 1}, right{b.data<bf16>(), 40, 21, 21, 1};
  dnnl::matmul(left, right, Matrix<bf16>{c.data<bf16>(), 33, 21, 21, 1});
  dnnl::matmul(left, right, Matrix<float>{d.data<float>(), 33, 21, 21, 1});
  const Tensor expected = matmul(a.to(DType::f64), b.to(DType::f64));
  CHECK(relative_error(c, expected) < tolerance(DType::bf16));
  CHECK(relative_error(d, expected) < tolerance(DType::f32));
}

TEST_CASE("products are bit-equal from run to run and build no primitive again") {
  const Tensor x = random({6, 65, 96}, DType::f32, 1), w = random({64, 96}, DType::f32, 2);
  const Tensor heads = random({2, 3, 65, 32}, DType::f32, 3);
  const auto run = [&] {
    const Tensor y = linear(x, w, {});
    return std::vector{y, linear_backward_input(y, w), linear_backward_weight(y, x),
                       matmul(heads, heads, Trans::no, Trans::yes)};
  };
  const auto first = run();
  run();  // the freed results of the first run are in the pool now
  const int64_t built = dnnl::primitives_built(), allocations = memory::system_allocations();
  for (int i = 0; i < 5; ++i) {
    const auto again = run();
    for (size_t k = 0; k < first.size(); ++k) CHECK(bit_equal(first[k], again[k]));
  }
  CHECK(dnnl::primitives_built() == built);
  CHECK(memory::system_allocations() == allocations);
}

TEST_CASE("no product runs oneDNN's slow reference code") {
  conv2d(zeros({1, 8, 16, 16}), zeros({8, 8, 3, 3}), {}, {.padding = 1});
  linear(zeros({64, 64}), zeros({64, 64}), {});
  CHECK_FALSE(dnnl::implementations().empty());
  for (const auto& item : dnnl::implementations()) {
    CAPTURE(item.primitive);
    CHECK_FALSE(doctest::String(item.name.c_str(), 3) == "ref");
  }
}

TEST_CASE("matmul and linear name both shapes") {
  using doctest::Contains;
  CHECK_THROWS_WITH_AS(matmul(zeros({2, 3}), zeros({4, 5})),
                       Contains("[matmul] inner sizes differ: a is [2, 3], b is [4, 5]; 3 != 4"), ShapeError);
  CHECK_THROWS_WITH_AS(matmul(zeros({2, 3}), zeros({3, 5}), Trans::yes),
                       Contains("a is [2, 3] transposed, b is [3, 5]"), ShapeError);
  CHECK_THROWS_WITH_AS(matmul(zeros({2, 4, 3}), zeros({5, 3, 4})),
                       Contains("a is [2, 4, 3], b is [5, 3, 4]; 2 against 5"), ShapeError);
  CHECK_THROWS_WITH_AS(matmul(zeros({3}), zeros({3, 4})), Contains("a is [3], b is [3, 4]"), ShapeError);
  CHECK_THROWS_WITH_AS(matmul(zeros({2, 3}), zeros({3, 4}, DType::f64)), Contains("f32 [2, 3] by f64 [3, 4]"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(linear(zeros({2, 3}), zeros({5, 4}), {}), Contains("x is [2, 3], weight is [5, 4]"), ShapeError);
  CHECK_THROWS_WITH_AS(linear(zeros({2, 3}), zeros({5, 3}), zeros({4})), Contains("bias is [4], weight is [5, 3]"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(linear_backward_input(zeros({2, 3}), zeros({5, 4})), Contains("dy is [2, 3], weight is [5, 4]"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(linear_backward_weight(zeros({2, 3}), zeros({5, 4})), Contains("dy is [2, 3], x is [5, 4]"),
                       ShapeError);
}

}  // namespace vitrail::core
