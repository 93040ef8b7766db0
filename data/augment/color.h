// Colour: brightness, contrast, saturation, hue, grey, equal byte for byte to torchvision's functions on Pillow images;
// and ColorJitter, which changes the first four at random.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/image/image.h"

#include <algorithm>
#include <array>

namespace vitrail::data {

/// Blends two images like Pillow: from + factor (to - from) in f32, truncated and clipped to 8 bits.
inline uint8_t blend(int from, int to, float factor) {
  const float mixed = float(from) + factor * float(to - from);
  return uint8_t(int(std::clamp(mixed, 0.0f, 255.0f)));
}

/// Sets all three channels to their weighted sum, (19595 R + 38470 G + 7471 B + 32768) >> 16.
Image grayscale(Image image);

// Factor 1 keeps the image. Factor 0 makes it black (brightness), one flat grey (contrast), or grey (saturation).
Image adjust_brightness(Image image, double factor);
Image adjust_contrast(Image image, double factor);  // about the mean of grayscale()
Image adjust_saturation(Image image, double factor);
/// Turns the hue by a fraction of a full turn, in [-0.5, 0.5]. Even 0 rounds the colours to 8 bits of hue and
/// saturation.
Image adjust_hue(Image image, double turn);

/// Brightness, contrast, saturation and hue by random amounts, in random order.
///
/// Factors are uniform in [max(0, 1 - c), 1 + c], the turn of the hue in [-c, c]. A change with c = 0 is left out.
/// Source: torchvision's ColorJitter.
class ColorJitter final {
 public:
  struct Config {
    double brightness = 0, contrast = 0, saturation = 0, hue = 0;
  };
  enum class Change { brightness, contrast, saturation, hue };
  struct Step {
    Change change;
    double amount;  // factor or turn
  };
  struct Params {
    std::array<Step, 4> steps;
    int count = 0;
  };

  /// Throws ConfigError for a negative amount, or a hue over 0.5.
  explicit ColorJitter(const Config& config);

  Params sample(Rng& rng, ImageSize) const;
  Image apply(Image image, const Params& params) const;

 private:
  std::array<double, 4> amounts_;  // by Change
};

/// Always applies grayscale(); wrap it in RandomApply for a probability.
class Grayscale final {
 public:
  struct Params {};
  Params sample(Rng&, ImageSize) const { return {}; }
  Image apply(Image image, const Params&) const { return grayscale(std::move(image)); }
};

}  // namespace vitrail::data
