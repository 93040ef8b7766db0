#include "tests/support/close.h"
#include "vitrail/core/dnnl/stats.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/rng.h"

#include <doctest/doctest.h>

#include <cstring>

namespace vitrail::core {
namespace {

using doctest::Contains;
using test::max_difference;
using test::relative_error;

struct Case {
  Shape x, weight;
  ConvOptions options;
};

const Case kCases[] = {
    {{1, 1, 1, 1}, {1, 1, 1, 1}, {}},
    {{2, 3, 8, 8}, {4, 3, 3, 3}, {.padding = 1}},
    {{2, 3, 9, 7}, {5, 3, 3, 3}, {.stride = 2, .padding = 1}},
    {{2, 3, 16, 16}, {8, 3, 4, 4}, {.stride = 4}},
    {{1, 3, 17, 18}, {6, 3, 4, 4}, {.stride = 4}},  // a rest of the image is not read
    {{2, 16, 10, 10}, {32, 16, 1, 1}, {}},
    {{2, 16, 10, 10}, {32, 16, 1, 1}, {.stride = 2}},
    {{1, 3, 20, 20}, {16, 3, 7, 7}, {.stride = 2, .padding = 3}},
    {{2, 16, 12, 12}, {16, 16, 3, 3}, {.padding = 1}},
    {{1, 5, 6, 4}, {3, 5, 2, 3}, {.padding = 2}},
    {{0, 3, 8, 8}, {4, 3, 3, 3}, {}},
};

Tensor random(const Shape& shape, uint64_t stream) {
  return Rng(5, stream).normal(shape, 0, 1).to(DType::bf16).to(DType::f64);
}

Shape y_shape(const Case& c) { return conv2d(zeros(c.x), zeros(c.weight), {}, c.options).shape(); }

double inner(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector(), y = b.to_vector();
  double total = 0;
  for (size_t i = 0; i < x.size(); ++i) total += x[i] * y[i];
  return total;
}

}  // namespace

TEST_CASE("a convolution by hand") {
  const Tensor x = arange(9, DType::f64).reshape({1, 1, 3, 3}), w = arange(4, DType::f64).reshape({1, 1, 2, 2});
  CHECK(conv2d(x, w, {}, {}).to_vector() == std::vector<double>{19, 25, 37, 43});
  CHECK(conv2d(x, w, tensor<double>({100}, {1}), {.stride = 2, .padding = 1}).to_vector() ==
        std::vector<double>{100, 108, 121, 143});
}

TEST_CASE("the gradients of the f64 convolution are its transposes") {
  for (const Case& c : kCases) {
    CAPTURE(c.x);
    CAPTURE(c.weight);
    const Tensor x = random(c.x, 1), w = random(c.weight, 2), dy = random(y_shape(c), 3);
    const double product = inner(conv2d(x, w, {}, c.options), dy);
    CHECK(inner(conv2d_backward_input(dy, w, c.x, c.options), x) == doctest::Approx(product));
    CHECK(inner(conv2d_backward_weight(dy, x, c.weight, c.options), w) == doctest::Approx(product));
  }
}

TEST_CASE("f32 and bf16 convolutions agree with f64") {
  for (const Case& c : kCases)
    for (DType dtype : {DType::f32, DType::bf16}) {
      CAPTURE(c.x);
      CAPTURE(c.weight);
      CAPTURE(dtype);
      const double tolerance = dtype == DType::f32 ? 3e-6 : 6e-3;
      const Tensor x = random(c.x, 1), w = random(c.weight, 2), b = random({c.weight[0]}, 3),
                   dy = random(y_shape(c), 4);
      const Tensor low = x.to(dtype).transpose(2, 3).contiguous().transpose(2, 3), lw = w.to(dtype), ldy = dy.to(dtype);
      CHECK(relative_error(conv2d(low, lw, b.to(DType::f32), c.options), conv2d(x, w, b, c.options)) < tolerance);
      CHECK(relative_error(conv2d(low, lw, {}, c.options), conv2d(x, w, {}, c.options)) < tolerance);
      CHECK(relative_error(conv2d_backward_input(ldy, lw, c.x, c.options),
                           conv2d_backward_input(dy, w, c.x, c.options)) < tolerance);
      const Tensor dw = conv2d_backward_weight(ldy, low, c.weight, c.options);
      CHECK(dw.dtype() == DType::f32);
      CHECK(relative_error(dw, conv2d_backward_weight(dy, x, c.weight, c.options)) < 3e-6);
    }
}

TEST_CASE("convolution is bit-equal from run to run, builds no primitive again and runs no slow reference code") {
  const Tensor x = random({2, 16, 12, 12}, 1).to(DType::f32), w = random({16, 16, 3, 3}, 2).to(DType::f32);
  const auto run = [&] {
    const Tensor y = conv2d(x, w, {}, {.padding = 1});
    return std::vector{y, conv2d_backward_input(y, w, x.shape(), {.padding = 1}),
                       conv2d_backward_weight(y, x, w.shape(), {.padding = 1})};
  };
  const auto first = run();
  const int64_t built = dnnl::primitives_built();
  for (int i = 0; i < 5; ++i) {
    const auto again = run();
    for (size_t t = 0; t < first.size(); ++t)
      CHECK(std::memcmp(first[t].raw(), again[t].raw(), size_t(first[t].nbytes())) == 0);
  }
  CHECK(dnnl::primitives_built() == built);
  for (const auto& item : dnnl::implementations()) {
    CAPTURE(item.primitive);
    CHECK(item.name.substr(0, 3) != "ref");
  }
}

TEST_CASE("max pooling keeps the largest and where it was") {
  const Tensor x = tensor<float>({1, 5, 5, 2, 0, -1, -3, 4, -2, 7, 6, 3}, {1, 1, 3, 4});
  for (DType dtype : {DType::f32, DType::bf16, DType::f64}) {
    const MaxOut out = max_pool2d(x.to(dtype), 2, 1, 0);
    CHECK(out.values.to_vector() == std::vector<double>{5, 5, 5, 7, 7, 6});
    CHECK(out.indices.to_vector() == std::vector<double>{1, 1, 2, 9, 9, 10});
    const Tensor dx = max_pool2d_backward(ones(out.values.shape(), dtype), out.indices, x.shape());
    CHECK(dx.to_vector() == std::vector<double>{0, 2, 1, 0, 0, 0, 0, 0, 0, 2, 1, 0});
  }
  const MaxOut padded = max_pool2d(full({2, 3, 4, 4}, -5), 3, 2, 1);  // padding never wins
  CHECK(padded.values.shape() == Shape{2, 3, 2, 2});
  CHECK(padded.values.to_vector() == std::vector<double>(24, -5));
  CHECK(max_pool2d(zeros({0, 3, 4, 4}), 2, 2, 0).values.shape() == Shape{0, 3, 2, 2});
}

TEST_CASE("convolution and pooling name the shapes they cannot take") {
  const Tensor x = zeros({2, 3, 8, 8});
  CHECK_THROWS_WITH_AS(conv2d(x, zeros({4, 2, 3, 3}), {}, {}),
                       Contains("[conv2d] x is [2, 3, 8, 8], weight is [4, 2, 3, 3]"), ShapeError);
  CHECK_THROWS_WITH_AS(conv2d(x, zeros({4, 3, 9, 3}), {}, {}),
                       Contains("weight is [4, 3, 9, 3]; the window does not fit"), ShapeError);
  CHECK_THROWS_WITH_AS(conv2d(x, zeros({4, 3, 3, 3}), {}, {.stride = 0}), Contains("stride is 0"), ShapeError);
  CHECK_THROWS_WITH_AS(conv2d(x, zeros({4, 3, 3, 3}), zeros({3}), {}), Contains("bias is [3], weight is [4, 3, 3, 3]"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(
      conv2d_backward_input(x, zeros({4, 3, 3, 3}), x.shape(), {}),
      Contains("dy is [2, 3, 8, 8], x is [2, 3, 8, 8], weight is [4, 3, 3, 3]; dy must be [2, 4, 6, 6]"), ShapeError);
  CHECK_THROWS_WITH_AS(max_pool2d(x, 9, 1, 0), Contains("x is [2, 3, 8, 8], size 9"), ShapeError);
}

}  // namespace vitrail::core
