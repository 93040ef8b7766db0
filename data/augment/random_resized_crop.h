// RandomResizedCrop: a random part of the image, resized to a fixed size. The augmentation that matters most.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/image/image_part.h"
#include "vitrail/data/image/resize.h"

namespace vitrail::data {

/// Crops a box of random area and aspect ratio, then resizes it to a square.
///
/// Draws like torchvision: up to ten boxes, with the area uniform in scale and the log of the aspect uniform in ratio,
/// until one fits. If none fits, it takes the largest centred box within ratio.
/// Source: Szegedy et al. 2015 (arXiv:1409.4842), section 6.
class RandomResizedCrop final {
 public:
  struct Config {
    int64_t size = 224;
    double min_scale = 0.08, max_scale = 1;         // part of the image's area
    double min_ratio = 3. / 4, max_ratio = 4. / 3;  // width / height
    Filter filter = Filter::bicubic;
  };
  using Params = Box;

  /// Throws ConfigError for bounds that are not positive or in the wrong order.
  explicit RandomResizedCrop(const Config& config);

  Params sample(Rng& rng, ImageSize image) const;
  Image apply(const Image& image, const Params& box) const {
    return resized_crop(image, box, {config_.size, config_.size}, config_.filter);
  }
  /// For a part of the image: see ReadsPart.
  Demand demand(const Params& box, ImageSize) const { return {box, {config_.size, config_.size}}; }
  Image apply(const ImagePart& part, const Params& box) const {
    return resized_crop(part, box, {config_.size, config_.size}, config_.filter);
  }

 private:
  Params largest_centered(ImageSize image) const;

  Config config_;
};

}  // namespace vitrail::data
