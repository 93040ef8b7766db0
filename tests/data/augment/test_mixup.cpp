#include "tests/support/close.h"
#include "vitrail/core/error.h"
#include "vitrail/data/augment/mixup.h"

#include <doctest/doctest.h>

#include <cmath>

namespace vitrail::data {
namespace {

const ImageSize kSize{6, 8};

Tensor numbered(int64_t batch) {
  Tensor images = Tensor::empty({batch, 2, kSize.height, kSize.width});
  for (int64_t i = 0; i < images.numel(); ++i) images.data<float>()[i] = float(i);
  return images;
}

}  // namespace

TEST_CASE("targets are mixed and smoothed") {
  const Mixup mixup({.label_smoothing = 0.1});
  const Tensor targets = mixup.targets(tensor<int64_t>({1, 3}, {2}), 4, {{.lambda = 0.7}, {.lambda = 0.7}});
  const std::vector<float> expected = {0.025f, 0.655f, 0.025f, 0.295f, 0.025f, 0.295f, 0.025f, 0.655f};
  CHECK(test::max_difference(targets, tensor<float>(expected, {2, 4})) < 1e-6);
  CHECK_THROWS_WITH_AS(mixup.targets(tensor<int64_t>({1, 4}, {2}), 4, Mixup::Params(2)),
                       doctest::Contains("label 4 is not one of 4 classes"), DataError);
}

TEST_CASE("a batch mixed with itself is the blend, or has the boxes of its partners") {
  const Mixup mixup({});
  const Tensor before = numbered(4);
  Tensor blended = before.clone();
  mixup.apply(blended, Mixup::Params(4, Mix{.lambda = 0.25}));
  const auto at = [](const Tensor& t, int64_t b, int64_t y, int64_t x) {
    return t.span<float>()[size_t(((b * 2) * kSize.height + y) * kSize.width + x)];
  };
  CHECK(at(blended, 0, 2, 3) == doctest::Approx(0.25 * at(before, 0, 2, 3) + 0.75 * at(before, 3, 2, 3)));
  CHECK(at(blended, 2, 2, 3) == doctest::Approx(0.25 * at(before, 2, 2, 3) + 0.75 * at(before, 1, 2, 3)));

  // Partners that are mixed differently: a box in one, a blend in the other.
  Tensor boxed = before.clone();
  mixup.apply(boxed, {{.lambda = 0.5, .cutmix = true, .box = {1, 2, 3, 4}}, {}, {}, {.lambda = 0.25}});
  CHECK(at(boxed, 0, 1, 2) == at(before, 3, 1, 2));
  CHECK(at(boxed, 0, 0, 2) == at(before, 0, 0, 2));
  CHECK(at(boxed, 0, 1, 6) == at(before, 0, 1, 6));
  CHECK(at(boxed, 3, 1, 2) == doctest::Approx(0.25 * at(before, 3, 1, 2) + 0.75 * at(before, 0, 1, 2)));
  CHECK(at(boxed, 1, 1, 2) == at(before, 1, 1, 2));
}

TEST_CASE("mixes are drawn for the batch, for pairs or for samples") {
  const auto draw = [](MixupMode mode, double probability = 1) {
    Rng rng(5, "mixup");
    return Mixup({.probability = probability, .mode = mode}).sample(rng, 6, kSize);
  };
  const auto same = [](const Mix& a, const Mix& b) { return a.lambda == b.lambda && a.box == b.box; };
  const auto batch = draw(MixupMode::batch), pair = draw(MixupMode::pair), elem = draw(MixupMode::elem);
  for (const Mix& mix : batch) CHECK(same(mix, batch[0]));
  CHECK(same(pair[1], pair[4]));
  CHECK_FALSE(same(pair[0], pair[1]));
  CHECK_FALSE(same(elem[1], elem[4]));
  for (const Mix& mix : draw(MixupMode::elem, 0)) CHECK(mix.lambda == 1);
}

TEST_CASE("CutMix is chosen as often as asked, and lambda has its distribution") {
  Rng rng(1, "mixup");
  const Mixup mixup({.mixup_alpha = 0.8, .cutmix_alpha = 1, .switch_probability = 0.3});
  constexpr int kDraws = 20000;
  double cutmix = 0, sum = 0, squares = 0, blends = 0;
  for (int i = 0; i < kDraws; ++i) {
    const Mix mix = mixup.sample(rng, 2, {224, 224})[0];
    cutmix += mix.cutmix;
    if (mix.cutmix) {
      CHECK(mix.lambda == lambda_of({224, 224}, mix.box));
    } else {
      ++blends;
      sum += mix.lambda;
      squares += mix.lambda * mix.lambda;
    }
  }
  CHECK(std::abs(cutmix / kDraws - 0.3) < 0.02);
  CHECK(std::abs(sum / blends - 0.5) < 0.015);
  // The variance of Beta(a, a) is 1 / (4 (2a + 1)).
  CHECK(std::abs(squares / blends - std::pow(sum / blends, 2) - 1 / (4 * 2.6)) < 0.004);
  CHECK(Mixup({.mixup_alpha = 0}).sample(rng, 2, kSize)[0].cutmix);
  CHECK_FALSE(Mixup({.cutmix_alpha = 0}).sample(rng, 2, kSize)[0].cutmix);
}

TEST_CASE("Mixup refuses what it cannot mix") {
  Rng rng(1, "mixup");
  CHECK_THROWS_WITH_AS(Mixup({}).sample(rng, 3, kSize), doctest::Contains("a batch of 3 has no pairs"), ShapeError);
  CHECK_THROWS_WITH_AS(Mixup({.mixup_alpha = 0, .cutmix_alpha = 0}), doctest::Contains("one must be positive"),
                       ConfigError);
  Tensor flat = Tensor::empty({4, 3});
  CHECK_THROWS_WITH_AS(Mixup({}).apply(flat, Mixup::Params(4)), doctest::Contains("[4, 3]"), ShapeError);
  Tensor images = numbered(4);
  CHECK_THROWS_WITH_AS(Mixup({}).apply(images, Mixup::Params(2)), doctest::Contains("2 mixes for a batch of 4"),
                       ShapeError);
}

}  // namespace vitrail::data
