// ResizeCenterCrop: how images are shown to a model that is evaluated.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/image/resize.h"

namespace vitrail::data {

/// The shorter side becomes `shorter`, then the central square of side `crop` is cut out, black where the image does
/// not reach. Nothing is random.
class ResizeCenterCrop final {
 public:
  struct Params {};

  ResizeCenterCrop(int64_t shorter, int64_t crop, Filter filter = Filter::bicubic)
      : shorter_(shorter), crop_(crop), filter_(filter) {}

  Params sample(Rng&, ImageSize) const { return {}; }
  Image apply(const Image& image, const Params&) const {
    return center_crop(resize(image, resize_shorter(image.size(), shorter_), filter_), crop_);
  }

 private:
  int64_t shorter_, crop_;
  Filter filter_;
};

}  // namespace vitrail::data
