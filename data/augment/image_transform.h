// The whole way from a decoded image to a model's input: augmentations, then normalisation.
#pragma once

#include "augmentation.h"
#include "normalize.h"

#include <span>
#include <utility>

namespace vitrail::data {

/// Augmentations, then Normalize; what the Loader calls for each image.
class ImageTransform final {
 public:
  ImageTransform(Pipeline augmentations, const Normalize& normalize)
      : augmentations_(std::move(augmentations)), normalize_(normalize) {}

  /// The image as the model will see it, before normalisation.
  Image augmented(const Image& image, Rng& rng) const { return augmentations_(image, rng); }
  /// Shape: out is [3, img_size, img_size].
  void operator()(const Image& image, Rng& rng, std::span<float> out) const { normalize_(augmented(image, rng), out); }

 private:
  Pipeline augmentations_;
  Normalize normalize_;
};

}  // namespace vitrail::data
