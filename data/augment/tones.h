// Tones: operations that change each byte by itself, or by a table made from the histogram of its channel. Equal byte
// for byte to Pillow's ImageOps.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/image/image.h"

#include <utility>

namespace vitrail::data {

/// 255 - v.
Image invert(Image image);
/// Inverts the values that are not below the threshold.
Image solarize(Image image, int threshold = 128);
/// Adds to the values that are below the threshold, up to 255.
Image solarize_add(Image image, int add, int threshold = 128);
/// Keeps the upper `bits` of each byte: 8 or more keep the image, 0 makes it black. Throws ConfigError if bits is
/// negative.
Image posterize(Image image, int bits);
/// Stretches each channel to the range 0 to 255.
Image auto_contrast(Image image);
/// Makes the histogram of each channel flat, as far as whole levels can.
Image equalize(Image image);

/// Always applies solarize(); wrap it in RandomApply for a probability.
class Solarize final {
 public:
  struct Params {};
  explicit Solarize(int threshold = 128) : threshold_(threshold) {}
  Params sample(Rng&, ImageSize) const { return {}; }
  Image apply(Image image, const Params&) const { return solarize(std::move(image), threshold_); }

 private:
  int threshold_;
};

}  // namespace vitrail::data
