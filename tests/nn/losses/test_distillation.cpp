#include "tests/support/close.h"
#include "vitrail/autograd/gradcheck.h"
#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"
#include "vitrail/nn/losses/distillation.h"

#include <doctest/doctest.h>

namespace vitrail::nn {

// The results of DeiT's DistillationLoss for these logits.
TEST_CASE("distillation gives the published code's numbers") {
  const Tensor student = tensor<double>({0.1, 1, -0.2, 0.4, 0.6, 0, -0.5, 0.3}, {2, 4});
  const Tensor logits = tensor<double>({0.5, 1.5, -0.5, 0.25, 0.2, -0.3, 0.8, 0.1}, {2, 4});
  const Tensor teacher = tensor<double>({0.2, 2, -1, 0, 1, 0.1, 0.3, -0.4}, {2, 4});
  const double base = ag::cross_entropy(logits, tensor<int64_t>({1, 2}, {2})).value().item();
  CHECK(base == doctest::Approx(0.724215708564333).epsilon(1e-12));
  const double soft = soft_distillation(student, teacher, 3, KlNorm::elements).value().item();
  CHECK(0.9 * base + 0.1 * soft == doctest::Approx(0.6565947737129281).epsilon(1e-12));
  CHECK(soft_distillation(student, teacher, 3).value().item() == doctest::Approx(4 * soft).epsilon(1e-12));
  const double hard = hard_distillation(student, teacher).value().item();
  CHECK(0.5 * base + 0.5 * hard == doctest::Approx(0.8066020597722263).epsilon(1e-12));
  CHECK(soft_distillation(teacher, teacher, 0.5).value().item() == 0);
}

TEST_CASE("distillation refuses other shapes and temperatures by name") {
  const Tensor a = zeros({2, 3}), b = zeros({2, 4});
  CHECK_THROWS_WITH_AS(soft_distillation(a, b, 1), doctest::Contains("logits are [2, 3], the teacher's are [2, 4]"),
                       ShapeError);
  CHECK_THROWS_AS(hard_distillation(a, b), ShapeError);
  CHECK_THROWS_WITH_AS(soft_distillation(a, a, 0), doctest::Contains("tau is 0"), ConfigError);
}

TEST_CASE("gradients of distillation match central differences") {
  for (const Shape& shape : {Shape{1, 1}, Shape{3, 5}, Shape{2, 7}}) {
    CAPTURE(shape);
    const Tensor teacher = Rng(1, "teacher").normal(shape, 0, 2, DType::f64);
    const auto soft = [&](const ag::Vars& v) {
      return soft_distillation(v[0], teacher, 0.5) + soft_distillation(v[0], teacher, 3, KlNorm::elements);
    };
    CHECK(ag::gradcheck(soft, {shape}).ok);
    CHECK(ag::gradcheck([&](const ag::Vars& v) { return hard_distillation(v[0], teacher); }, {shape}).ok);
  }
}

}  // namespace vitrail::nn
