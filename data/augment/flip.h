// HorizontalFlip and VerticalFlip: mirror images.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/image/image.h"

#include <utility>

namespace vitrail::data {

/// Exchanges left and right.
Image flip_horizontal(Image image);
/// Exchanges top and bottom.
Image flip_vertical(Image image);

/// Flips an image with a probability.
template <Image flip_image(Image)>
class RandomFlip final {
 public:
  struct Params {
    bool flip = false;
  };

  explicit RandomFlip(double probability = 0.5) : probability_(probability) {}

  Params sample(Rng& rng, ImageSize) const { return {rng.bernoulli(probability_)}; }
  Image apply(Image image, const Params& params) const {
    if (params.flip) image = flip_image(std::move(image));
    return image;
  }

 private:
  double probability_;
};

using HorizontalFlip = RandomFlip<flip_horizontal>;
/// For images without a top, such as photographs from above.
using VerticalFlip = RandomFlip<flip_vertical>;

}  // namespace vitrail::data
