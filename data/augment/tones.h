// Tones: operations that change each byte by itself, or by a table made from the histogram of its channel. Equal byte
// for byte to Pillow's ImageOps.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/image/image.h"

#include <utility>

namespace vitrail::data {

/// 255 - v.
Image invert(Image image);
/// Inverts what is not below the threshold.
Image solarize(Image image, int threshold = 128);
/// Adds to what is below the threshold, up to 255.
Image solarize_add(Image image, int add, int threshold = 128);
/// Keeps the upper bits of each byte; 8 and more keep it, 0 makes it black. Throws ConfigError if bits is negative.
Image posterize(Image image, int bits);
/// Stretches each channel so that it goes from 0 to 255.
Image auto_contrast(Image image);
/// Makes the histogram of each channel flat, as far as whole levels can.
Image equalize(Image image);

/// solarize(), always; RandomApply makes it a chance.
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
