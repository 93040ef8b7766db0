// VerticalFlip: top and bottom exchanged, for images that have no up, such as those from above.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/image/image.h"

#include <utility>

namespace vitrail::data {

/// The image upside down, mirrored.
Image flip_vertical(Image image);

/// Flips with a probability.
class VerticalFlip final {
 public:
  struct Params {
    bool flip = false;
  };

  explicit VerticalFlip(double probability = 0.5) : probability_(probability) {}

  Params sample(Rng& rng, ImageSize) const { return {rng.bernoulli(probability_)}; }
  Image apply(Image image, const Params& params) const {
    if (params.flip) image = flip_vertical(std::move(image));
    return image;
  }

 private:
  double probability_;
};

}  // namespace vitrail::data
