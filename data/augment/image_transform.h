// From a decoded image to a model's input: the background of transparent pixels, augmentations, normalisation, random
// erasing.
//
// The result is normalised for one model. Whoever needs the pixels again (a distillation teacher with another mean, a
// preview) has to undo the normalisation.
#pragma once

#include "vitrail/data/augment/augmentation.h"
#include "vitrail/data/augment/normalize.h"
#include "vitrail/data/augment/random_erasing.h"
#include "vitrail/data/image/background.h"

#include <optional>
#include <span>
#include <utility>

namespace vitrail::data {

/// Background, augmentations, then Normalize, then perhaps RandomErasing; an ImageBatch calls it for each image.
class ImageTransform final {
 public:
  ImageTransform(Pipeline augmentations, const Normalize& normalize, const std::optional<RandomErasing>& erasing = {},
                 const Background& background = {})
      : augmentations_(std::move(augmentations)), normalize_(normalize), erasing_(erasing), background_(background) {}

  /// The image as the model will see it, before normalisation.
  Image augmented(const Image& image, Rng& rng) const {
    return image.opacity().empty() ? augmentations_(image, rng) : augmentations_(background_.under(image), rng);
  }
  Image augmented(const ImagePart& part, Rng& rng) const {
    if (part.pixels.opacity().empty()) return augmentations_(part, rng);
    ImagePart opaque = part;
    opaque.pixels = background_.under(std::move(opaque.pixels));
    return augmentations_(opaque, rng);
  }
  /// Shape: out is [3, img_size, img_size].
  void operator()(const Image& image, Rng& rng, std::span<float> out) const { finish(augmented(image, rng), rng, out); }
  /// The same for the part that request() asks for, with the same rng.
  void operator()(const ImagePart& part, Rng& rng, std::span<float> out) const {
    finish(augmented(part, rng), rng, out);
  }
  /// The part of an image of that size that the transform reads. Does not advance rng. by_parts calls it.
  PartRequest request(ImageSize size, Rng rng) const {
    const std::optional<Demand> demand = augmentations_.demand(size, rng);
    return demand ? request_for({&*demand, 1}) : whole_image(size);
  }

 private:
  void finish(const Image& result, Rng& rng, std::span<float> out) const {
    normalize_(result, out);
    if (erasing_) erasing_->apply(out, result.size(), erasing_->sample(rng, result.size()));
  }

  Pipeline augmentations_;
  Normalize normalize_;
  std::optional<RandomErasing> erasing_;
  Background background_;
};

}  // namespace vitrail::data
