#include "tests/support/close.h"
#include "vitrail/autograd/gradcheck.h"
#include "vitrail/autograd/ops.h"
#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"
#include "vitrail/nn/losses/dino_loss.h"
#include "vitrail/nn/losses/ibot_loss.h"
#include "vitrail/nn/losses/koleo.h"
#include "vitrail/nn/losses/sinkhorn.h"

#include <doctest/doctest.h>

#include <cmath>

namespace vitrail::nn {

// The results of DINOv2's code for these numbers.
TEST_CASE("Sinkhorn-Knopp gives the published code's targets") {
  const Tensor scores = tensor<double>({.30, -.20, .10, .05, .20, -.10, .15, 0, -.10, -.05, .30, 0}, {4, 3});
  const Tensor expected = tensor<double>({.505172825, .000246892, .494580282, .120922005, .637246700, .241831295,
                                          .644408524, .046741373, .308850103, .007838249, .719221509, .272940242},
                                         {4, 3});
  const Tensor targets = sinkhorn_targets(scores, 0.07);
  CHECK(test::max_difference(targets, expected) < 1e-9);
  CHECK(test::max_difference(core::sum(targets, {1}), ones({4}, DType::f64)) < 1e-15);
  // A constant more for one prototype in all rows changes nothing.
  CHECK(test::max_difference(sinkhorn_targets(core::add(scores, tensor<double>({5, 0, -3}, {1, 3})), 0.07), expected) <
        1e-9);
}

TEST_CASE("Sinkhorn-Knopp uses all prototypes, also where all rows prefer one, and survives large scores") {
  const Tensor scores = Rng(1, "scores").normal({64, 8}, 0, 1);
  scores.select(1, 3).fill_(1000);
  const Tensor used = core::sum(sinkhorn_targets(scores, 0.1, 50), {0});
  for (const double total : used.to_vector()) CHECK(total == doctest::Approx(8).epsilon(0.05));
  CHECK(sinkhorn_targets(scores.to(DType::bf16), 0.04).dtype() == DType::f32);
  CHECK_THROWS_WITH_AS(sinkhorn_targets(scores, 0), doctest::Contains("temp is 0"), ConfigError);
  CHECK_THROWS_WITH_AS(sinkhorn_targets(zeros({4}), 0.1), doctest::Contains("must be [N, K]"), ShapeError);
}

TEST_CASE("KoLeo gives the published code's number, and searches in groups") {
  const Tensor x = tensor<double>({1, 2, 2, 2, 1, 2, -1, .5, 0, 0, 1, -1}, {4, 3});
  CHECK(koleo_loss(x).value().item() == doctest::Approx(0.297765141).epsilon(1e-8));
  const Tensor twice = core::concat({x, x}, 0);
  CHECK(koleo_loss(twice, 4).value().item() == doctest::Approx(0.297765141).epsilon(1e-8));
  CHECK(koleo_loss(twice).value().item() > 5);  // each row has an equal one
  CHECK_THROWS_WITH_AS(koleo_loss(twice, 3), doctest::Contains("8 rows cannot be split into groups of 3"), ConfigError);
  CHECK_THROWS_WITH_AS(koleo_loss(x.slice(0, 0, 1)), doctest::Contains("two rows or more"), ConfigError);
}

TEST_CASE("masked patches are listed with their images' weights") {
  const Tensor masks = tensor<uint8_t>({0, 1, 1, 0, 0, 0, 1, 1, 1}, {3, 3});
  const MaskedPatches masked = masked_patches(masks);
  CHECK(masked.images == 3);
  CHECK(masked.rows.to_vector() == std::vector<double>{1, 2, 6, 7, 8});
  CHECK(masked.weights.to_vector() == std::vector<double>{0.5, 0.5, 1.0 / 3, 1.0 / 3, 1.0 / 3});
  CHECK(masked_patches(zeros({2, 4}, DType::u8)).rows.size(0) == 0);
  CHECK_THROWS_AS(masked_patches(zeros({4}, DType::u8)), ShapeError);

  // With equal scores for K prototypes each row costs log K, so an image with a mask costs log K.
  const ag::Var loss = ibot_loss(zeros({5, 7}, DType::f64), full({5, 7}, 1.0 / 7, DType::f64), masked, 0.1);
  CHECK(loss.value().item() == doctest::Approx(std::log(7) * 2 / 3).epsilon(1e-12));
  CHECK_THROWS_WITH_AS(ibot_loss(zeros({4, 7}), zeros({4, 7}), masked, 0.1), doctest::Contains("5 masked patches"),
                       ShapeError);
}

TEST_CASE("the loss of local views is the average over all pairs") {
  const Tensor student = Rng(1, "student").normal({6, 5}, 0, 1, DType::f64);
  const Tensor targets = core::softmax(Rng(1, "targets").normal({4, 5}, 0, 1, DType::f64));
  double sum = 0;
  for (int64_t s = 0; s < 3; ++s)
    for (int64_t t = 0; t < 2; ++t)
      sum +=
          ag::soft_cross_entropy(ag::Var(student.slice(0, 2 * s, 2 * s + 2)) * 2.0, targets.slice(0, 2 * t, 2 * t + 2))
              .value()
              .item();
  CHECK(dino_local_loss(student, targets, 3, 2, 0.5).value().item() == doctest::Approx(sum / 6).epsilon(1e-12));
  CHECK_THROWS_WITH_AS(dino_local_loss(student, targets, 4, 2, 0.5), doctest::Contains("4 and 2 views"), ShapeError);
}

TEST_CASE("gradients of DINOv2's losses match central differences") {
  for (const Shape& shape : {Shape{4, 3}, Shape{6, 5}, Shape{2, 8}}) {
    CAPTURE(shape);
    const Tensor targets = core::softmax(Rng(1, "targets").normal(shape, 0, 2, DType::f64));
    MaskedPatches masked{arange(shape[0]), Rng(1, "weights").uniform({shape[0]}, 0.1, 1, DType::f64), 3};
    const auto ibot = ag::gradcheck([&](const ag::Vars& v) { return ibot_loss(v[0], targets, masked, 0.5); }, {shape});
    CHECK_MESSAGE(ibot.ok, to_string(ibot));
    const auto local = ag::gradcheck(
        [&](const ag::Vars& v) { return dino_local_loss(v[0], targets.slice(0, 0, 2), shape[0] / 2, 1, 0.5); },
        {shape});
    CHECK_MESSAGE(local.ok, to_string(local));
    const auto koleo = ag::gradcheck([&](const ag::Vars& v) { return koleo_loss(v[0], 2); }, {shape});
    CHECK_MESSAGE(koleo.ok, to_string(koleo));
  }
}

}  // namespace vitrail::nn
