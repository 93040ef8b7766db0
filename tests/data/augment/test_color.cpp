#include "vitrail/core/error.h"
#include "vitrail/data/augment/blur.h"
#include "vitrail/data/augment/color.h"
#include "vitrail/data/augment/hsv.h"

#include <doctest/doctest.h>

#include <cmath>
#include <set>

namespace vitrail::data {
namespace {

struct Three {
  int a, b, c;
  bool operator==(const Three&) const = default;
};

/// Pillow's conversion, written as its definition.
Three to_hsv(int r, int g, int b) {
  const int most = std::max({r, g, b}), least = std::min({r, g, b});
  if (most == least) return {0, 0, most};
  const float chroma = float(most - least), s = chroma / float(most);
  const float rc = float(most - r) / chroma, gc = float(most - g) / chroma, bc = float(most - b) / chroma;
  float h = 0;
  if (r == most)
    h = bc - gc;
  else if (g == most)
    h = float(2.0 + double(rc) - double(bc));
  else
    h = float(4.0 + double(gc) - double(rc));
  h = float(std::fmod(double(h) / 6.0 + 1.0, 1.0));
  return {int(double(h) * 255.0), int(double(s) * 255.0), most};
}

Three to_rgb(int h, int s, int v) {
  if (s == 0) return {v, v, v};
  const int i = int(std::floor(h * 6.0 / 255.0));
  const float f = float(h * 6.0 / 255.0 - i), fs = float(s / 255.0);
  const int p = int(std::round(v * (1.0 - double(fs))));
  const int q = int(std::round(v * (1.0 - double(fs * f))));
  const int t = int(std::round(v * (1.0 - double(fs) * (1.0 - double(f)))));
  switch (i % 6) {
    case 0:
      return {v, t, p};
    case 1:
      return {q, v, p};
    case 2:
      return {p, v, t};
    case 3:
      return {p, q, v};
    case 4:
      return {t, p, v};
    default:
      return {v, p, q};
  }
}

/// The first colour whose conversion differs from the definition, of all 2^24.
template <class Convert, class Definition>
int first_difference(Convert&& convert, Definition&& definition) {
  RgbBlock block{};
  for (int begin = 0; begin < 1 << 24; begin += int(RgbBlock::kPixels)) {
    const auto colour = [&](size_t i) { return begin + int(i); };
    for (size_t i = 0; i < RgbBlock::kPixels; ++i) {
      block.r[i] = uint8_t(colour(i) >> 16);
      block.g[i] = uint8_t(colour(i) >> 8);
      block.b[i] = uint8_t(colour(i));
    }
    convert(block, RgbBlock::kPixels);
    for (size_t i = 0; i < RgbBlock::kPixels; ++i)
      if (!(Three{block.r[i], block.g[i], block.b[i]} ==
            definition(colour(i) >> 16, colour(i) >> 8 & 255, colour(i) & 255)))
        return colour(i);
  }
  return -1;
}

}  // namespace

TEST_CASE("HSV and back are Pillow's for every colour") {
  CHECK(first_difference(rgb_to_hsv, to_hsv) == -1);
  CHECK(first_difference(hsv_to_rgb, to_rgb) == -1);
}

TEST_CASE("pixels are split and joined in blocks of any length") {
  for (const int64_t width : {1, 15, 16, 17, 511, 512, 513, 1100}) {
    Image image(1, width);
    for (int64_t i = 0; i < 3 * width; ++i) image.data()[i] = uint8_t(i * 7 + i / 256);
    Image seen = image;
    int64_t at = 0;
    for_each_block(image, [&](const RgbBlock& block, int64_t pixels) {
      for (int64_t i = 0; i < pixels; ++i, ++at) {
        CHECK(block.r[size_t(i)] == image.at(0, at)[0]);
        CHECK(block.g[size_t(i)] == image.at(0, at)[1]);
        CHECK(block.b[size_t(i)] == image.at(0, at)[2]);
      }
    });
    CHECK(at == width);
    transform_blocks(seen, [](RgbBlock&, int64_t) {});
    CHECK(seen == image);
  }
}

TEST_CASE("ColorJitter draws each factor from its range, in every order") {
  const ColorJitter jitter({.brightness = 0.4, .contrast = 0.4, .saturation = 1.2, .hue = 0.1});
  Rng rng(1, "jitter");
  std::set<std::array<int, 4>> orders;
  std::array<double, 4> sum{}, least{9, 9, 9, 9}, most{-9, -9, -9, -9};
  constexpr int kDraws = 4000;
  for (int n = 0; n < kDraws; ++n) {
    const auto params = jitter.sample(rng, {1, 1});
    REQUIRE(params.count == 4);
    std::array<int, 4> order;
    for (size_t i = 0; i < 4; ++i) {
      const auto [change, amount] = params.steps[i];
      order[i] = int(change);
      sum[size_t(change)] += amount;
      least[size_t(change)] = std::min(least[size_t(change)], amount);
      most[size_t(change)] = std::max(most[size_t(change)], amount);
    }
    orders.insert(order);
  }
  CHECK(orders.size() == 24);
  const std::array<double, 4> low{0.6, 0.6, 0, -0.1}, high{1.4, 1.4, 2.2, 0.1};
  for (size_t i = 0; i < 4; ++i) {
    const double range = high[i] - low[i];
    CHECK(std::abs(sum[i] / kDraws - (low[i] + high[i]) / 2) < 0.03 * range);
    CHECK(least[i] >= low[i]);
    CHECK(least[i] < low[i] + 0.01 * range);
    CHECK(most[i] <= high[i]);
    CHECK(most[i] > high[i] - 0.01 * range);
  }
  CHECK(ColorJitter({.contrast = 0.3}).sample(rng, {1, 1}).count == 1);
  CHECK_THROWS_WITH_AS(ColorJitter({.hue = 0.6}), doctest::Contains("hue is 0.6"), ConfigError);
  CHECK_THROWS_AS(ColorJitter({.brightness = -1}), ConfigError);
}

TEST_CASE("blur and sharpness leave what is even, and one row or column") {
  Image flat(5, 7);
  std::fill(flat.pixels().begin(), flat.pixels().end(), uint8_t(93));
  CHECK(gaussian_blur(flat, 1.7) == flat);
  CHECK(box_blur(flat, 6) == flat);
  CHECK(adjust_sharpness(flat, 3) == flat);
  Image line(1, 3);
  line.at(0, 1)[0] = 200;
  CHECK(adjust_sharpness(line, 0) == line);
  const Image blurred = box_blur(line, 1);
  CHECK(blurred.at(0, 0)[0] == 67);
  CHECK(blurred.at(0, 2)[0] == 67);
  CHECK(gaussian_blur(Image(), 1).empty());
  CHECK_THROWS_AS(box_blur(line, -1), ConfigError);
  CHECK_THROWS_WITH_AS(GaussianBlur(2, 1), doctest::Contains("sigma from 2 to 1"), ConfigError);
}

}  // namespace vitrail::data
