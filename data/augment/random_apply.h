// RandomApply: applies another augmentation with a probability.
#pragma once

#include "vitrail/data/augment/augmentation.h"

#include <optional>

namespace vitrail::data {

/// Applies A with a probability, else returns the image as it is.
template <Augmentation A>
class RandomApply final {
 public:
  using Params = std::optional<typename A::Params>;

  RandomApply(double probability, A augmentation) : probability_(probability), augmentation_(std::move(augmentation)) {}

  Params sample(Rng& rng, ImageSize size) const {
    if (!rng.bernoulli(probability_)) return std::nullopt;
    return augmentation_.sample(rng, size);
  }
  Image apply(Image image, const Params& params) const {
    if (params) image = augmentation_.apply(std::move(image), *params);
    return image;
  }

 private:
  double probability_;
  A augmentation_;
};

}  // namespace vitrail::data
