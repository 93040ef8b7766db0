#include "vitrail/core/error.h"
#include "vitrail/data/augment/multi_crop.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace vitrail::data {
namespace {

Image noise(int64_t height, int64_t width) {
  Image image(height, width);
  for (size_t i = 0; i < image.pixels().size(); ++i) image.data()[i] = uint8_t(i * 2654435761u >> 13);
  return image;
}

/// Nothing random: no jitter, no grey, no blur, no mirror, no solarizing.
MultiCrop::Config quiet() {
  MultiCrop::Config c;
  c.global_size = 24;
  c.local_size = 10;
  c.local_count = 3;
  c.hflip = c.jitter_probability = c.gray_probability = c.local_blur = c.solarize = 0;
  c.global_blur = {0, 0};
  return c;
}

}  // namespace

TEST_CASE("MultiCrop makes two global and some local views, normalised in place") {
  const MultiCrop crop(quiet());
  const auto views = crop.views();
  REQUIRE(views.size() == 2);
  CHECK(views[0].shape == Shape{3, 24, 24});
  CHECK(views[0].count == 2);
  CHECK(views[1].shape == Shape{3, 10, 10});
  CHECK(views[1].count == 3);
  MultiCrop::Config global = quiet();
  global.local_count = 0;
  CHECK(MultiCrop(global).views().size() == 1);

  const Image image = noise(40, 50);
  Rng rng(1, "augment"), same(1, "augment");
  const auto images = crop.augmented(image, rng);
  REQUIRE(images.size() == 5);
  CHECK(images[1].size() == ImageSize{24, 24});
  CHECK(images[4].size() == ImageSize{10, 10});
  CHECK_FALSE(images[0] == images[1]);
  std::vector<std::vector<float>> values(5);
  std::vector<std::span<float>> out;
  for (size_t v = 0; v < 5; ++v) {
    values[v].resize(images[v].pixels().size());
    out.emplace_back(values[v]);
  }
  crop(image, same, out);
  for (size_t v = 0; v < 5; ++v) {
    std::vector<float> expected(values[v].size());
    Normalize(kImageNetMean, kImageNetStd)(images[v], expected);
    CHECK(values[v] == expected);
  }
  CHECK_THROWS_WITH_AS(crop(image, rng, std::span(out).first(4)), doctest::Contains("room for 4 views; there are 5"),
                       ShapeError);
}

TEST_CASE("MultiCrop augments each branch as often as DINO does") {
  // Applies one random operation at a time, on an image that shows it. The crop is the whole image.
  Image image(16, 16);
  for (int64_t y = 0; y < 16; ++y)
    for (int64_t x = 0; x < 16; ++x) std::fill_n(image.at(y, x), 3, x < 8 ? uint8_t(200) : uint8_t(90));
  for (int64_t y = 0; y < 16; ++y) image.at(y, 3)[0] = 255;  // a colour, so that grey is seen
  constexpr int kDraws = 1500;
  const auto share = [&](const MultiCrop::Config& config, size_t view, auto&& seen) {
    const MultiCrop crop(config);
    int count = 0;
    for (int i = 0; i < kDraws; ++i) {
      Rng rng(1, "augment", uint64_t(i));
      count += seen(crop.augmented(image, rng)[view]);
    }
    return double(count) / kDraws;
  };
  MultiCrop::Config base = quiet();
  base.global_size = base.local_size = 16;
  base.local_count = 1;
  base.global_scale = base.local_scale = {1, 1};
  const MultiCrop::Config dino;
  const auto changed = [&](const Image& view) { return !(view == image); };

  MultiCrop::Config blur = base;
  blur.global_blur = dino.global_blur;
  blur.local_blur = dino.local_blur;
  blur.blur_sigma = {1, 2};
  CHECK(share(blur, 0, changed) == 1);
  CHECK(share(blur, 1, changed) == doctest::Approx(0.1).epsilon(0.3));
  CHECK(share(blur, 2, changed) == doctest::Approx(0.5).epsilon(0.1));
  MultiCrop::Config solarize = base;
  solarize.solarize = dino.solarize;
  CHECK(share(solarize, 0, changed) == 0);
  CHECK(share(solarize, 1, changed) == doctest::Approx(0.2).epsilon(0.2));
  CHECK(share(solarize, 2, changed) == 0);
  MultiCrop::Config flip = base, jitter = base, gray = base;
  flip.hflip = dino.hflip;
  jitter.jitter_probability = dino.jitter_probability;
  gray.gray_probability = dino.gray_probability;
  for (size_t view = 0; view < 3; ++view) {
    CHECK(share(flip, view, changed) == doctest::Approx(0.5).epsilon(0.1));
    CHECK(share(jitter, view, changed) == doctest::Approx(0.8).epsilon(0.1));
    CHECK(share(gray, view, changed) == doctest::Approx(0.2).epsilon(0.2));
  }
}

}  // namespace vitrail::data
