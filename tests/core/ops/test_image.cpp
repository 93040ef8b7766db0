#include "tests/core/ops/kernel_case.h"
#include "vitrail/core/error.h"
#include "vitrail/core/reference/image.h"
#include "vitrail/core/reference/matmul.h"

namespace vitrail {
namespace {

using core::Interpolation;
using test::Tensors;

const std::vector<Shape> kImages = {{1, 1, 3, 3}, {2, 3, 8, 7}, {0, 2, 4, 4}, {1, 2, 5, 9}};

Tensor normal(const Shape& shape, uint64_t stream) { return Rng(20, stream).normal(shape, 0, 1, DType::f64); }

}  // namespace

TEST_CASE("convolution and pooling agree with their definitions") {
  for (const Shape& shape : kImages) {
    const Tensor x = normal(shape, 1), weight = normal({4, shape[1], 3, 2}, 2);
    for (int64_t stride : {1, 2}) {
      test::check_case(
          {"conv2d",
           [&](const Tensors& t) {
             return Tensors{core::conv2d(t[0], t[1], {}, {stride, 1})};
           },
           3e-6, 6e-3, [&](const Tensors& t) { return Tensors{reference::conv2d(t[0], t[1], stride, 1)}; }},
          {x, weight});
      test::check_case(
          {"avg_pool2d", [&](const Tensors& t) { return Tensors{core::avg_pool2d(t[0], 3, stride, 1)}; }, 2e-6, 6e-3,
           [&](const Tensors& t) { return Tensors{reference::avg_pool2d(t[0], 3, stride, 1)}; }},
          {x});
      test::check_case(
          {"max_pool2d", [&](const Tensors& t) { return Tensors{core::max_pool2d(t[0], 2, stride, 1).values}; }, 1e-12,
           1e-12, [&](const Tensors& t) { return Tensors{reference::max_pool2d(t[0], 2, stride, 1)}; }},
          {x});
      const Tensor dy = normal(core::avg_pool2d(x, 3, stride, 1).shape(), 3);
      test::check_case(
          {"avg_pool2d_backward",
           [&](const Tensors& t) { return Tensors{core::avg_pool2d_backward(t[0], shape, 3, stride, 1)}; }},
          {dy});
    }
  }
}

TEST_CASE("average pooling counts padding as zeros") {
  const Tensor x = arange(4, DType::f32).reshape({1, 1, 2, 2});
  CHECK(core::avg_pool2d(x, 2, 2).item() == 1.5);
  CHECK(core::avg_pool2d(x, 2, 2, 1).to_vector() == std::vector<double>{0, 0.25, 0.5, 0.75});
  CHECK_THROWS_WITH_AS(core::avg_pool2d(x, 4, 1), doctest::Contains("[avg_pool2d] x is [1, 1, 2, 2], size 4"),
                       ShapeError);
}

TEST_CASE("interpolate has PyTorch's values (align_corners=False)") {
  const Tensor x = tensor<double>({1, 2, 3, 4}, {1, 1, 2, 2}), row = arange(4, DType::f64).reshape({1, 1, 1, 4});
  const auto list = [](const Tensor& t) { return t.to_vector(); };
  using Values = std::vector<double>;
  CHECK(list(core::interpolate(x, {4, 4})) == Values{1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4});
  CHECK(list(core::interpolate(row, {1, 3})) == Values{0, 1, 2});  // floor(i * 4 / 3)
  CHECK(list(core::interpolate(x, {4, 4}, Interpolation::bilinear)) ==
        Values{1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4});
  CHECK(list(core::interpolate(row, {1, 2}, Interpolation::bilinear)) == Values{0.5, 2.5});
  // Element 3 of 8 is at 1.25. The cubic weights (a = -0.75) of 0, 1, 2, 3 at distances 1.25, 0.25, 0.75, 1.75:
  const auto cubic = list(core::interpolate(row, {1, 8}, Interpolation::bicubic));
  CHECK(cubic[3] == doctest::Approx(0 * -0.10546875 + 1 * 0.87890625 + 2 * 0.26171875 + 3 * -0.03515625));
  CHECK(cubic[2] + cubic[5] == doctest::Approx(3));  // symmetric about 1.5
  CHECK(cubic[3] + cubic[4] == doctest::Approx(3));
  const Tensor flat = core::interpolate(full({1, 1, 3, 3}, 2, DType::f64), {5, 2}, Interpolation::bicubic);
  CHECK(test::max_difference(flat, full({1, 1, 5, 2}, 2, DType::f64)) < 1e-14);
  for (const Shape& shape : kImages)
    for (Interpolation mode : {Interpolation::nearest, Interpolation::bilinear, Interpolation::bicubic}) {
      const Tensor image = normal(shape, 4), dy = normal({shape[0], shape[1], 4, 11}, 5);
      test::check_case({"interpolate",
                        [&](const Tensors& t) {
                          return Tensors{core::interpolate(t[0], {4, 11}, mode)};
                        }},
                       {image});
      const core::Grid grid{shape[2], shape[3]};
      const Tensor dx = core::interpolate_backward(dy, grid, mode);
      CHECK(sum(core::interpolate(image, {4, 11}, mode) * dy).item() == doctest::Approx(sum(image * dx).item()));
    }
  CHECK_THROWS_WITH_AS(core::interpolate(x, {0, 2}), doctest::Contains("cannot resize [1, 1, 2, 2] to 0 x 2"),
                       ShapeError);
}

TEST_CASE("attention agrees with its definition in every type") {
  for (const bool causal : {false, true})
    for (const auto& [queries, keys] : {std::pair<int64_t, int64_t>{1, 1}, {5, 7}, {65, 65}}) {
      const core::AttentionOptions options{.scale = 0.4, .causal = causal};
      test::check_case(
          {"attention",
           [&](const Tensors& t) {
             return Tensors{core::attention(t[0], t[1], t[2], options).y, core::attention_weights(t[0], t[1], options)};
           },
           1e-5, 2e-2,
           [&](const Tensors& t) {
             return Tensors{reference::attention(t[0], t[1], t[2], options.scale, causal),
                            reference::attention_weights(t[0], t[1], options.scale, causal)};
           }},
          {normal({2, 2, queries, 6}, 6), normal({2, 2, keys, 6}, 7), normal({2, 2, keys, 6}, 8)});
    }
}

}  // namespace vitrail
