#include "vitrail/data/augment/color.h"

#include "vitrail/core/error.h"
#include "vitrail/data/augment/hsv.h"
#include "vitrail/data/augment/rgb_blocks.h"

#include <algorithm>
#include <utility>

namespace vitrail::data {
namespace {

inline uint8_t luma(int r, int g, int b) { return uint8_t((19595 * r + 38470 * g + 7471 * b + 32768) >> 16); }

Image blend_from(int flat, Image image, double factor) {
  const float f = float(factor);
  for (uint8_t& v : image.pixels()) v = blend(flat, v, f);
  return image;
}

/// The mean of the grey image, to the nearest level.
int mean_luma(const Image& image) {
  int64_t sum = 0;
  for_each_block(image, [&](const RgbBlock& block, int64_t pixels) {
    uint32_t part = 0;
    for (size_t i = 0; i < size_t(pixels); ++i) part += luma(block.r[i], block.g[i], block.b[i]);
    sum += part;
  });
  return int(double(sum) / double(image.height() * image.width()) + 0.5);
}

}  // namespace

Image grayscale(Image image) {
  transform_blocks(image, [](RgbBlock& block, int64_t pixels) {
    for (size_t i = 0; i < size_t(pixels); ++i) block.r[i] = luma(block.r[i], block.g[i], block.b[i]);
    block.g = block.b = block.r;
  });
  return image;
}

Image adjust_brightness(Image image, double factor) { return blend_from(0, std::move(image), factor); }

Image adjust_contrast(Image image, double factor) {
  if (image.empty()) return image;
  const int mean = mean_luma(image);
  return blend_from(mean, std::move(image), factor);
}

Image adjust_saturation(Image image, double factor) {
  transform_blocks(image, [f = float(factor)](RgbBlock& block, int64_t pixels) {
    for (size_t i = 0; i < size_t(pixels); ++i) {
      const int r = block.r[i], g = block.g[i], b = block.b[i], grey = luma(r, g, b);
      block.r[i] = blend(grey, r, f);
      block.g[i] = blend(grey, g, f);
      block.b[i] = blend(grey, b, f);
    }
  });
  return image;
}

Image adjust_hue(Image image, double turn) {
  check<ConfigError>(-0.5 <= turn && turn <= 0.5, "adjust_hue", "a turn of {} is not in [-0.5, 0.5]", turn);
  const uint8_t shift = uint8_t(int(turn * 255));  // truncated; a hue wraps at 256
  transform_blocks(image, [shift](RgbBlock& block, int64_t pixels) {
    rgb_to_hsv(block, pixels);
    for (size_t i = 0; i < size_t(pixels); ++i) block.r[i] = uint8_t(block.r[i] + shift);
    hsv_to_rgb(block, pixels);
  });
  return image;
}

ColorJitter::ColorJitter(const Config& c) : amounts_{c.brightness, c.contrast, c.saturation, c.hue} {
  check<ConfigError>(*std::min_element(amounts_.begin(), amounts_.end()) >= 0, "color_jitter",
                     "brightness {}, contrast {}, saturation {} and hue {} must not be negative", c.brightness,
                     c.contrast, c.saturation, c.hue);
  check<ConfigError>(c.hue <= 0.5, "color_jitter", "hue is {}; it can be at most 0.5, half a turn", c.hue);
}

ColorJitter::Params ColorJitter::sample(Rng& rng, ImageSize) const {
  Params params;
  for (const Change change : {Change::brightness, Change::contrast, Change::saturation, Change::hue}) {
    const double amount = amounts_[size_t(change)];
    if (amount == 0) continue;
    const bool is_turn = change == Change::hue;
    params.steps[size_t(params.count++)] = {
        change, is_turn ? rng.uniform(-amount, amount) : rng.uniform(std::max(0.0, 1 - amount), 1 + amount)};
  }
  for (int i = params.count - 1; i > 0; --i) std::swap(params.steps[size_t(i)], params.steps[size_t(rng.below(i + 1))]);
  return params;
}

Image ColorJitter::apply(Image image, const Params& params) const {
  for (int i = 0; i < params.count; ++i) {
    const auto [change, amount] = params.steps[size_t(i)];
    switch (change) {
      case Change::brightness:
        image = adjust_brightness(std::move(image), amount);
        break;
      case Change::contrast:
        image = adjust_contrast(std::move(image), amount);
        break;
      case Change::saturation:
        image = adjust_saturation(std::move(image), amount);
        break;
      case Change::hue:
        image = adjust_hue(std::move(image), amount);
        break;
    }
  }
  return image;
}

}  // namespace vitrail::data
