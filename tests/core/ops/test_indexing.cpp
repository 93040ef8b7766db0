#include "tests/core/ops/kernel_case.h"
#include "vitrail/core/error.h"

namespace vitrail {

using test::Tensors;

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

TEST_CASE("index_select, gather and scatter_add_ along any axis") {
  const Tensor x = arange(6, DType::f32).reshape({2, 3}), index = tensor<int64_t>({2, 0, 2, 1}, {4});
  CHECK(core::index_select(x, 1, index).to_vector() == std::vector<double>{2, 0, 2, 1, 5, 3, 5, 4});
  CHECK(core::index_select(x.transpose(0, 1), 0, index).to_vector() == std::vector<double>{2, 5, 0, 3, 2, 5, 1, 4});
  CHECK(core::index_select(arange(6).reshape({2, 3}), 0, tensor<int64_t>({1}, {1})).dtype() == DType::i64);
  Tensor dx = zeros({2, 3});
  core::index_add_(dx, 1, index, ones({2, 4}));
  CHECK(dx.to_vector() == std::vector<double>{1, 1, 2, 1, 1, 2});

  const Tensor places = tensor<int64_t>({0, 2, 1, 1}, {2, 2});
  CHECK(core::gather(x, 1, places).to_vector() == std::vector<double>{0, 2, 4, 4});
  CHECK(core::gather(x, 0, tensor<int64_t>({1, 0, 1}, {1, 3})).to_vector() == std::vector<double>{3, 1, 5});
  Tensor y = zeros({2, 3});
  core::scatter_add_(y, -1, places, tensor<float>({1, 2, 3, 4}, {2, 2}));
  CHECK(y.to_vector() == std::vector<double>{1, 0, 2, 0, 7, 0});
  Tensor columns = zeros({3, 2}).transpose(0, 1);
  core::scatter_add_(columns, 0, tensor<int64_t>({1, 1, 0, 1, 0, 0}, {2, 3}), ones({2, 3}));
  CHECK(columns.to_vector() == std::vector<double>{0, 1, 2, 2, 1, 0});

  CHECK_THROWS_WITH_AS(core::index_select(x, 1, tensor<int64_t>({3}, {1})),
                       doctest::Contains("[index_select] index 3 at position 0 is outside [0, 3)"), ShapeError);
  CHECK_THROWS_WITH_AS(core::gather(x, 1, zeros({3, 2}, DType::i64)),
                       doctest::Contains("x is [2, 3], index is [3, 2]; they must agree beside axis 1"), ShapeError);
  CHECK_THROWS_WITH_AS(core::scatter_add_(y, 1, places, ones({2, 3})), doctest::Contains("src is [2, 3]"), ShapeError);

  Rng rng(12, "gather");
  for (int axis : {0, 1, 2}) {
    const Shape shape{5, 4, 3};
    Tensor at = zeros(shape.with(axis, 7), DType::i64);
    for (int64_t& i : at.span<int64_t>()) i = rng.below(shape[axis]);
    const Tensor dy = rng.normal(at.shape(), 0, 1, DType::f64), t = rng.normal(shape, 0, 1, DType::f64);
    const test::KernelCase scatter{"scatter_add_", [&](const Tensors& in) {
                                     Tensor total =
                                         zeros(shape, in[0].dtype() == DType::bf16 ? DType::f32 : in[0].dtype());
                                     core::scatter_add_(total, axis, at, in[0]);
                                     return Tensors{total, core::gather(in[1], axis, at)};
                                   }};
    test::check_case(scatter, {dy, t});
    CHECK(sum(scatter.run({dy, t})[0] * t).item() == doctest::Approx(sum(core::gather(t, axis, at) * dy).item()));
  }
}

}  // namespace vitrail
