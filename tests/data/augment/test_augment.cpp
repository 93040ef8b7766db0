#include "tests/support/close.h"
#include "tests/support/reference.h"
#include "tools/reference/reference_case.h"
#include "vitrail/core/error.h"
#include "vitrail/data/augment/center_crop.h"
#include "vitrail/data/augment/flip.h"
#include "vitrail/data/augment/normalize.h"
#include "vitrail/data/augment/pad_random_crop.h"
#include "vitrail/data/augment/random_apply.h"
#include "vitrail/data/augment/random_resized_crop.h"
#include "vitrail/data/augment/tones.h"

#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

namespace vitrail::data {
namespace {

Image numbered(int64_t height, int64_t width) {
  Image image(height, width);
  for (size_t i = 0; i < image.pixels().size(); ++i) image.data()[i] = uint8_t(i * 7 + 1);
  return image;
}

}  // namespace

TEST_CASE("augmentations agree with the official implementations") {
  const auto path = test::reference_path("augment.h5");
  if (!path) return;
  const hdf5::Reader file(*path);
  const auto cases = reference::reference_cases(file);
  CHECK(cases.size() > 400);
  for (const auto& c : cases) {
    CAPTURE(c.path);
    REQUIRE(c.run);
    const reference::Outcome outcome = c.run(file, c.path, DType::f32);
    CAPTURE(outcome.worst());
    CAPTURE(outcome.tolerance());
    CHECK(outcome.pass());
  }
}

TEST_CASE("RandomResizedCrop resizes its box") {
  const Image image = numbered(20, 30);
  const RandomResizedCrop crop({.size = 8});
  const Box box{2, 3, 10, 12};
  CHECK(crop.apply(image, box) == resized_crop(image, box, {8, 8}, Filter::bicubic));
  CHECK_THROWS_WITH_AS(RandomResizedCrop({.min_scale = 0.5, .max_scale = 0.25}), doctest::Contains("scale [0.5, 0.25]"),
                       ConfigError);
  CHECK_THROWS_AS(RandomResizedCrop({.size = 0}), ConfigError);
}

TEST_CASE("flips mirror as often as asked") {
  const Image image = numbered(2, 3);
  CHECK(HorizontalFlip().apply(image, {false}) == image);
  CHECK(HorizontalFlip().apply(image, {true}).at(1, 0)[0] == image.at(1, 2)[0]);
  Rng rng(1, "flip");
  int flips = 0;
  for (int i = 0; i < 1000; ++i) flips += HorizontalFlip(0.25).sample(rng, {2, 3}).flip;
  CHECK(std::abs(flips - 250) < 60);
  CHECK(VerticalFlip().apply(image, {false}) == image);
  CHECK(VerticalFlip().apply(image, {true}).at(0, 2)[0] == image.at(1, 2)[0]);
  CHECK(VerticalFlip(1).sample(rng, {2, 3}).flip);
}

TEST_CASE("RandomApply happens as often as asked, with the parameters of its augmentation") {
  const Image image = numbered(2, 3);
  const RandomApply flip(0.25, HorizontalFlip(1));
  Rng rng(1, "apply");
  int flips = 0;
  for (int i = 0; i < 1000; ++i) flips += flip.sample(rng, image.size()).has_value();
  CHECK(std::abs(flips - 250) < 60);
  CHECK(flip.apply(image, std::nullopt) == image);
  CHECK(flip.apply(image, HorizontalFlip::Params{true}) == flip_horizontal(image));
}

TEST_CASE("a pipeline is its steps one after another, and leaves its image alone") {
  const Image image = numbered(4, 6), before = numbered(4, 6);
  Pipeline pipeline;
  Rng rng(1, "pipeline");
  CHECK(pipeline(image, rng) == image);
  pipeline.add(VerticalFlip(1)).add(HorizontalFlip(1)).add(Solarize(100));
  CHECK(pipeline(image, rng) == solarize(flip_horizontal(flip_vertical(image)), 100));
  CHECK(image == before);
}

TEST_CASE("a step that does not happen keeps the image's memory") {
  Image image = numbered(4, 6);
  const uint8_t* const pixels = image.data();
  image = HorizontalFlip(0).apply(std::move(image), {false});
  image = VerticalFlip(0).apply(std::move(image), {false});
  image = RandomApply(0, Solarize(100)).apply(std::move(image), std::nullopt);
  CHECK(image.data() == pixels);
}

TEST_CASE("PadRandomCrop reaches every place of the padded image") {
  const Image image = numbered(6, 6);
  const PadRandomCrop crop(6, 2);
  Rng rng(1, "pad");
  std::set<std::pair<int64_t, int64_t>> corners;
  for (int i = 0; i < 1000; ++i) {
    const Box box = crop.sample(rng, image.size());
    CHECK(std::max(std::abs(box.top), std::abs(box.left)) <= 2);
    corners.insert({box.top, box.left});
  }
  CHECK(corners.size() == 25);
  const Image shifted = crop.apply(image, {-2, 1, 6, 6});
  CHECK(shifted.at(1, 0)[0] == 0);
  CHECK(shifted.at(2, 0)[0] == image.at(0, 1)[0]);
  CHECK_THROWS_WITH_AS(PadRandomCrop(20, 4).sample(rng, image.size()), doctest::Contains("6 x 6 with a border of 4"),
                       ShapeError);
}

TEST_CASE("Normalize refuses what it cannot do") {
  CHECK_THROWS_AS(Normalize({0, 0, 0}, {1, 0, 1}), ConfigError);
  std::vector<float> short_of_one(11);
  CHECK_THROWS_WITH_AS(Normalize(kHalfMean, kHalfStd)(Image(2, 2), short_of_one), doctest::Contains("2 x 2"),
                       ShapeError);
}

}  // namespace vitrail::data
