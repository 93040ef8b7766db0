// ResizeExact and ResizeShorter: bringing images to size before or without a crop.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/image/resize.h"

namespace vitrail::data {

/// The whole image in that size, whatever its proportions. Nothing is random.
class ResizeExact final {
 public:
  struct Params {};

  ResizeExact(ImageSize size, Filter filter) : size_(size), filter_(filter) {}

  Params sample(Rng&, ImageSize) const { return {}; }
  Image apply(const Image& image, const Params&) const { return resize(image, size_, filter_); }

 private:
  ImageSize size_;
  Filter filter_;
};

/// The shorter side becomes `shorter`. Nothing is random.
class ResizeShorter final {
 public:
  struct Params {};

  ResizeShorter(int64_t shorter, Filter filter) : shorter_(shorter), filter_(filter) {}

  Params sample(Rng&, ImageSize) const { return {}; }
  Image apply(const Image& image, const Params&) const {
    return resize(image, resize_shorter(image.size(), shorter_), filter_);
  }

 private:
  int64_t shorter_;
  Filter filter_;
};

}  // namespace vitrail::data
