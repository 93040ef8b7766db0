#include "tests/core/kernel_case.h"
#include "vitrail/core/error.h"

namespace vitrail {

using test::Tensors;

TEST_CASE("concat puts parts side by side along any axis") {
  const Tensor a = arange(6, DType::f32).reshape({2, 3}), b = core::affine(a.transpose(0, 1), -1).transpose(0, 1);
  CHECK(core::concat({a, b}, 0).to_vector() == std::vector<double>{0, 1, 2, 3, 4, 5, 0, -1, -2, -3, -4, -5});
  CHECK(core::concat({a, b}, -1).to_vector() == std::vector<double>{0, 1, 2, 0, -1, -2, 3, 4, 5, -3, -4, -5});
  CHECK(core::concat({a, zeros({2, 0}), a.slice(1, 0, 1)}, 1).shape() == Shape{2, 4});
  CHECK_FALSE(core::concat({a}, 0).shares_storage(a));
  CHECK_THROWS_WITH_AS(core::concat({a, zeros({3, 3})}, 1), doctest::Contains("[3, 3] does not fit [2, 3]"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(core::concat({a, zeros({2, 3}, DType::bf16)}, 0), doctest::Contains("f32 and bf16"), ShapeError);
  CHECK_THROWS_WITH_AS(core::concat({}, 0), doctest::Contains("at least one part"), ShapeError);
}

TEST_CASE("embedding picks rows and its backward adds them") {
  const Tensor table = arange(12, DType::f32).reshape({4, 3});
  const Tensor ids = tensor<int64_t>({3, 0, 3, 1}, {2, 2});
  const Tensor y = core::embedding(table, ids);
  CHECK(y.shape() == Shape{2, 2, 3});
  CHECK(y.to_vector() == std::vector<double>{9, 10, 11, 0, 1, 2, 9, 10, 11, 3, 4, 5});
  CHECK(core::embedding(table, ids.transpose(0, 1)).select(0, 0).to_vector() ==
        std::vector<double>{9, 10, 11, 9, 10, 11});
  CHECK(core::embedding(table, zeros({0}, DType::i64)).shape() == Shape{0, 3});
  Tensor grad = ones({4, 3});
  core::embedding_backward_(grad, y, ids);
  CHECK(grad.to_vector() == std::vector<double>{1, 2, 3, 4, 5, 6, 1, 1, 1, 19, 21, 23});
  CHECK_THROWS_WITH_AS(core::embedding(table, tensor<int64_t>({0, 4}, {2})),
                       doctest::Contains("id 4 at position 1 is outside [0, 4)"), ShapeError);
  CHECK_THROWS_WITH_AS(core::embedding(table, zeros({2})), doctest::Contains("id is f32, it must be i64"), ShapeError);
  CHECK_THROWS_WITH_AS(core::embedding_backward_(grad, zeros({4, 3}), ids), doctest::Contains("expected [2, 2, 3]"),
                       ShapeError);
}

TEST_CASE("embedding_backward_ is the transpose of embedding in every type") {
  Rng rng(9, "embedding");
  std::vector<int64_t> values(500);
  for (int64_t& value : values) value = rng.below(7);
  const Tensor ids = tensor(values, {100, 5});
  const test::KernelCase c{"embedding_backward_", [&](const Tensors& t) {
                             Tensor grad = zeros({7, 130}, t[0].dtype() == DType::f64 ? DType::f64 : DType::f32);
                             core::embedding_backward_(grad, t[0], ids);
                             return Tensors{grad};
                           }};
  const Tensor dy = rng.normal({100, 5, 130}, 0, 1, DType::f64), w = rng.normal({7, 130}, 0, 1, DType::f64);
  test::check_case(c, {dy});
  const double forward = core::sum(core::mul(core::embedding(w, ids), dy)).item();
  CHECK(core::sum(core::mul(c.run({dy})[0], w)).item() == doctest::Approx(forward).epsilon(1e-12));
}

TEST_CASE("one_hot and gather_last") {
  const Tensor labels = tensor<int64_t>({2, 0}, {2});
  CHECK(core::one_hot(labels, 3).to_vector() == std::vector<double>{0, 0, 1, 1, 0, 0});
  CHECK(core::one_hot(labels, 3, 0.5, 0.25, DType::bf16).to_vector() ==
        std::vector<double>{.25, .25, .5, .5, .25, .25});
  CHECK(core::one_hot(labels.reshape({2, 1}), 3).shape() == Shape{2, 1, 3});
  CHECK_THROWS_WITH_AS(core::one_hot(labels, 2), doctest::Contains("label 2 at position 0"), ShapeError);
  const Tensor x = arange(6, DType::f32).reshape({2, 3});
  CHECK(core::gather_last(x, labels).to_vector() == std::vector<double>{2, 3});
  CHECK(core::gather_last(x.transpose(0, 1).slice(0, 0, 2), tensor<int64_t>({1, 0}, {2})).to_vector() ==
        std::vector<double>{3, 1});
  CHECK_THROWS_WITH_AS(core::gather_last(x, zeros({3}, DType::i64)), doctest::Contains("[N, K] and [N]"), ShapeError);
}

}  // namespace vitrail
