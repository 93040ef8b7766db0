#include "tests/core/ops/kernel_case.h"
#include "vitrail/core/error.h"
#include "vitrail/core/reference/reduce.h"

#include <cmath>

namespace vitrail {
namespace {

using core::max, core::mean, core::softmax, core::sum;
using test::KernelCase, test::Tensors;

/// An operation that reduces each group of elements to one number.
struct Statistic {
  std::string name;
  std::function<Tensor(const Tensor&, const Axes&, bool)> kernel;
  double (*definition)(const reference::Row&);
};

const std::vector<Statistic> kStatistics = {
    {"mean", core::mean, reference::mean},
    {"var", [](const Tensor& x, const Axes& axes, bool keep) { return core::var(x, axes, keep, 0); },
     [](const reference::Row& x) { return reference::var(x, 0); }},
    {"norm", [](const Tensor& x, const Axes& axes, bool keep) { return core::norm(x, axes, keep); }, reference::norm},
    {"logsumexp", core::logsumexp, reference::logsumexp},
    {"amax", core::amax, reference::largest},
    {"amin", core::amin, reference::smallest},
};

}  // namespace

TEST_CASE("sums, means and extremes over every set of axes agree with the reference") {
  Rng rng(5, "reduce");
  for (const Shape& shape : test::kShapes) {
    const Tensor x = rng.uniform(shape, 0.5, 1.5, DType::f64);
    for (unsigned set = 0; set < 1u << shape.rank(); ++set) {
      std::vector<int> axes;
      for (int axis = 0; axis < shape.rank(); ++axis)
        if (set >> axis & 1) axes.push_back(axis);
      test::check_case({"sum", [&](const Tensors& t) { return Tensors{sum(t[0], axes, true)}; }, 2e-6, 6e-3,
                        [&](const Tensors& t) { return Tensors{reference::reduce(t[0], axes, reference::sum)}; }},
                       {x});
      if (shape.numel())
        for (const Statistic& c : kStatistics)
          test::check_case({c.name, [&](const Tensors& t) { return Tensors{c.kernel(t[0], axes, true)}; }, 2e-5, 2e-2,
                            [&](const Tensors& t) { return Tensors{reference::reduce(t[0], axes, c.definition)}; }},
                           {x});
    }
  }
}

TEST_CASE("sums are over the axes asked for") {
  const Tensor x = arange(24, DType::f64).reshape({2, 3, 4});
  CHECK(sum(x).item() == 276);
  CHECK(sum(x, {0}).to_vector() == std::vector<double>{12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34});
  CHECK(sum(x, {1}).to_vector() == std::vector<double>{12, 15, 18, 21, 48, 51, 54, 57});
  CHECK(sum(x, {0, 2}).to_vector() == std::vector<double>{60, 92, 124});
  CHECK(sum(x, {-1, 0}, true).shape() == Shape{1, 3, 1});
  CHECK(mean(x, {1, 2}).to_vector() == std::vector<double>{5.5, 17.5});
  CHECK(sum(zeros({0, 3}), {0}).to_vector() == std::vector<double>{0, 0, 0});
  CHECK_THROWS_AS(sum(x, {3}), ShapeError);
}

TEST_CASE("sum_to undoes broadcasting") {
  const Tensor x = arange(24, DType::f64).reshape({2, 3, 4});
  CHECK(core::sum_to(x, {}).item() == 276);
  CHECK(core::sum_to(x, {4}).to_vector() == sum(x, {0, 1}).to_vector());
  CHECK(core::sum_to(x, {3, 1}).to_vector() == sum(x, {0, 2}).to_vector());
  CHECK(core::sum_to(x, {2, 1, 4}).shape() == Shape{2, 1, 4});
  CHECK(core::sum_to(x, {2, 3, 4}).shares_storage(x));
  CHECK_THROWS_WITH_AS(core::sum_to(x, {5}), doctest::Contains("[sum_to]"), ShapeError);
}

TEST_CASE("a long sum keeps its precision") {
  const Tensor x = full({1 << 20}, 0.1);
  CHECK(sum(x).item() == doctest::Approx(0.1f * (1 << 20)).epsilon(1e-7));
  CHECK(sum(x.reshape({1 << 19, 2}), {0}).to_vector()[0] == doctest::Approx(0.1f * (1 << 19)).epsilon(1e-7));
  CHECK(core::norm(x) == doctest::Approx(0.1f * 1024).epsilon(1e-7));
}

TEST_CASE("max and topk give the first of equal values") {
  const Tensor x = tensor<float>({1, 3, 3, 2, 5, 0, 5, 4}, {2, 4});
  CHECK(max(x, -1).values.to_vector() == std::vector<double>{3, 5});
  CHECK(max(x, -1).indices.to_vector() == std::vector<double>{1, 0});
  CHECK(core::argmax(x, 0).to_vector() == std::vector<double>{1, 0, 1, 1});
  CHECK(core::topk(x, 3).values.to_vector() == std::vector<double>{3, 3, 2, 5, 5, 4});
  CHECK(core::topk(x, 3).indices.to_vector() == std::vector<double>{1, 2, 3, 0, 2, 3});
  CHECK(core::topk(x, 0).values.shape() == Shape{2, 0});
  CHECK(core::argmax(tensor<float>({1, std::nanf(""), 7}, {3}), 0).item() == 1);
  CHECK_THROWS_WITH_AS(core::topk(x, 5), doctest::Contains("k is 5"), ShapeError);
  CHECK_THROWS_WITH_AS(max(zeros({2, 0}), 1), doctest::Contains("is empty"), ShapeError);
  Rng rng(6, "max");
  for (const Shape& shape : {Shape{1}, Shape{3, 17}, Shape{4, 3, 5}, Shape{10007}})
    for (int axis = 0; axis < shape.rank(); ++axis)
      test::check_case({"max",
                        [&](const Tensors& t) {
                          return Tensors{max(t[0], axis).values, max(t[0], axis).indices};
                        }},
                       {rng.normal(shape, 0, 1, DType::f64)});
}

TEST_CASE("softmax and its logarithm agree with the reference") {
  const std::vector<KernelCase> cases = {
      {"softmax", [](const Tensors& t) { return Tensors{softmax(t[0])}; }, 2e-6, 6e-3,
       [](const Tensors& t) { return Tensors{reference::softmax(t[0])}; }},
      {"log_softmax", [](const Tensors& t) { return Tensors{core::log_softmax(t[0])}; }, 2e-6, 6e-3,
       [](const Tensors& t) { return Tensors{reference::log_softmax(t[0])}; }},
      {"cumsum", [](const Tensors& t) { return Tensors{core::cumsum(t[1], -1)}; }, 2e-6, 6e-3,
       [](const Tensors& t) { return Tensors{reference::cumsum(t[1])}; }},
      {"cumsum, first axis, reversed", [](const Tensors& t) { return Tensors{core::cumsum(t[1], 0, true)}; }},
      {"softmax_backward", [](const Tensors& t) { return Tensors{core::softmax_backward(t[1], t[2])}; }, 1e-5, 1e-2},
      {"log_softmax_backward", [](const Tensors& t) { return Tensors{core::log_softmax_backward(t[1], t[3])}; }, 1e-5,
       1e-2},
  };
  Rng rng(7, "softmax");
  for (const Shape& shape : test::kShapes) {
    if (shape.rank() == 0) continue;
    for (double scale : {1.0, 80.0}) {
      const Tensor x = rng.uniform(shape, -scale, scale, DType::f64);
      const Tensor mild = core::affine(x, 1 / scale);
      const Tensors inputs = {x, rng.normal(shape, 0, 1, DType::f64), softmax(mild), core::log_softmax(mild)};
      for (const KernelCase& c : cases) test::check_case(c, inputs);
    }
  }
}

TEST_CASE("softmax rows are probabilities whatever the logits") {
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor x = tensor<float>({80, -80, 0, 1e30f, 0, 0, 5, 5, -inf}, {3, 3});
  CHECK(test::max_difference(softmax(x), tensor<double>({1, 0, 0, 1, 0, 0, .5, .5, 0}, {3, 3})) < 1e-7);
  const Tensor y = softmax(tensor<double>({1, 2, 3}, {3}));
  CHECK(y.to_vector()[2] == doctest::Approx(0.66524095577482178));
  CHECK(test::max_difference(core::log(y), core::log_softmax(tensor<double>({1, 2, 3}, {3}))) < 1e-15);
  CHECK_THROWS_WITH_AS(softmax(scalar(1)), doctest::Contains("at least one axis"), ShapeError);
  CHECK_THROWS_WITH_AS(core::softmax_backward(zeros({2}), zeros({3})), doctest::Contains("dy is [2], y is [3]"),
                       ShapeError);
}

TEST_CASE("all_finite finds a single bad element") {
  for (float bad : {std::nanf(""), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()})
    for (DType dtype : {DType::f32, DType::bf16, DType::f64}) {
      Tensor x = full({3, 5000}, 3e38, dtype == DType::bf16 ? DType::f32 : dtype).to(dtype);
      CHECK(core::all_finite(x));
      Tensor last = x.select(0, 2).slice(0, 4998, 4999);
      last.fill_(double(bad));
      CHECK_FALSE(core::all_finite(x));
      CHECK(core::all_finite(x.slice(1, 4999, 5000)));
    }
}

TEST_CASE("statistics by hand, with PyTorch's defaults") {
  const Tensor x = tensor<double>({1, 2, 3, 4, 1, 1, 5, 5}, {2, 4});
  CHECK(core::var(x, 1).to_vector()[0] == doctest::Approx(5.0 / 3));  // correction 1
  CHECK(core::var(x, 1, false, 0).to_vector() == std::vector<double>{1.25, 4});
  CHECK(core::stddev(x, -1, true, 0).to_vector()[1] == 2);
  CHECK(std::isnan(core::var(x.slice(1, 0, 1), 1).to_vector()[0]));
  CHECK(core::norm(x, 0).to_vector()[2] == doctest::Approx(std::sqrt(34)));
  CHECK(core::logsumexp(full({2}, 1000, DType::f64)).item() == doctest::Approx(1000 + std::log(2)));
  CHECK(core::logsumexp(full({2}, -INFINITY)).item() == -INFINITY);
  CHECK(core::cumsum(x, 0).to_vector() == std::vector<double>{1, 2, 3, 4, 2, 3, 8, 9});
  CHECK(core::cumsum(x[0], 0, true).to_vector() == std::vector<double>{10, 9, 7, 4});
  CHECK(core::min(x, 1).indices.to_vector() == std::vector<double>{0, 0});
  CHECK(core::max(x, 0, true).values.shape() == Shape{1, 4});
  CHECK(core::argmin(x, 0).to_vector() == std::vector<double>{0, 1, 0, 0});
  const Tensor top = core::amax(x, 1, true);
  CHECK(top.to_vector() == std::vector<double>{4, 5});
  CHECK(core::amax_backward(ones({2, 1}, DType::f64), x, top, 1).to_vector() ==
        std::vector<double>{0, 0, 0, 1, 0, 0, .5, .5});  // ties share
  CHECK_THROWS_WITH_AS(core::amax(zeros({2, 0}), 1), doctest::Contains("[amax]"), ShapeError);
}

}  // namespace vitrail
