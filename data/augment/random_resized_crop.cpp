#include "vitrail/data/augment/random_resized_crop.h"

#include "vitrail/core/error.h"

#include <cmath>

namespace vitrail::data {
namespace {

int64_t round_even(double v) { return int64_t(std::nearbyint(v)); }

}  // namespace

RandomResizedCrop::RandomResizedCrop(const Config& config) : config_(config) {
  check<ConfigError>(config.size > 0, "random_resized_crop", "size {}", config.size);
  check<ConfigError>(0 < config.min_scale && config.min_scale <= config.max_scale && config.max_scale <= 1,
                     "random_resized_crop", "scale [{}, {}] is not inside (0, 1]", config.min_scale, config.max_scale);
  check<ConfigError>(0 < config.min_ratio && config.min_ratio <= config.max_ratio, "random_resized_crop",
                     "ratio [{}, {}]", config.min_ratio, config.max_ratio);
}

Box RandomResizedCrop::sample(Rng& rng, ImageSize image) const {
  constexpr int kTries = 10;
  for (int i = 0; i < kTries; ++i) {
    const double area = double(image.height * image.width) * rng.uniform(config_.min_scale, config_.max_scale);
    const double ratio = std::exp(rng.uniform(std::log(config_.min_ratio), std::log(config_.max_ratio)));
    const int64_t width = round_even(std::sqrt(area * ratio));
    const int64_t height = round_even(std::sqrt(area / ratio));
    if (0 < width && width <= image.width && 0 < height && height <= image.height) {
      const int64_t top = rng.below(image.height - height + 1);
      const int64_t left = rng.below(image.width - width + 1);
      return {top, left, height, width};
    }
  }
  return largest_centered(image);
}

Box RandomResizedCrop::largest_centered(ImageSize image) const {
  int64_t height = image.height, width = image.width;
  const double ratio = double(width) / double(height);
  if (ratio < config_.min_ratio) height = round_even(double(width) / config_.min_ratio);
  if (ratio > config_.max_ratio) width = round_even(double(height) * config_.max_ratio);
  return {(image.height - height) / 2, (image.width - width) / 2, height, width};
}

}  // namespace vitrail::data
