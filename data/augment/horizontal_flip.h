// HorizontalFlip: left and right exchanged.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/image/image.h"

#include <utility>

namespace vitrail::data {

/// The mirror image.
Image flip_horizontal(Image image);

/// Mirrors with a probability.
class HorizontalFlip final {
 public:
  struct Params {
    bool flip = false;
  };

  explicit HorizontalFlip(double probability = 0.5) : probability_(probability) {}

  Params sample(Rng& rng, ImageSize) const { return {rng.bernoulli(probability_)}; }
  Image apply(Image image, const Params& params) const {
    if (params.flip) image = flip_horizontal(std::move(image));
    return image;
  }

 private:
  double probability_;
};

}  // namespace vitrail::data
