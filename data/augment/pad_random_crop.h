// PadRandomCrop: a random crop for images that are too small to be resized.
#pragma once

#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"
#include "vitrail/data/image/resize.h"

namespace vitrail::data {

/// Adds a black border to the image, then crops a square at a random place.
class PadRandomCrop final {
 public:
  using Params = Box;  // in the image's coordinates; it may leave the image

  explicit PadRandomCrop(int64_t size, int64_t padding = 4) : size_(size), padding_(padding) {}

  /// Throws ShapeError if the image with its border is smaller than the square.
  Params sample(Rng& rng, ImageSize image) const {
    const int64_t rows = image.height + 2 * padding_ - size_, columns = image.width + 2 * padding_ - size_;
    check<ShapeError>(rows >= 0 && columns >= 0, "pad_random_crop",
                      "an image of {} with a border of {} is smaller than {} x {}", image, padding_, size_, size_);
    const int64_t top = rng.below(rows + 1), left = rng.below(columns + 1);
    return {top - padding_, left - padding_, size_, size_};
  }
  Image apply(const Image& image, const Params& box) const { return padded_crop(image, box); }

 private:
  int64_t size_, padding_;
};

}  // namespace vitrail::data
