// CenterCrop: the middle of an image, by either of the rules for where an odd pixel goes.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/image/resize.h"

namespace vitrail::data {

/// How half a pixel of an offset is rounded.
enum class CropOffset {
  half_even,  // torchvision
  floor,      // Hugging Face
};

/// The centred square of side `size`, black where the image is smaller. Nothing is random.
class CenterCrop final {
 public:
  struct Params {};

  explicit CenterCrop(int64_t size, CropOffset offset = CropOffset::half_even) : size_(size), offset_(offset) {}

  Params sample(Rng&, ImageSize) const { return {}; }
  Image apply(const Image& image, const Params&) const {
    if (offset_ == CropOffset::half_even) return center_crop(image, size_);
    return padded_crop(image, {floor_half(image.height() - size_), floor_half(image.width() - size_), size_, size_});
  }

 private:
  static int64_t floor_half(int64_t n) { return n >= 0 ? n / 2 : (n - 1) / 2; }

  int64_t size_;
  CropOffset offset_;
};

}  // namespace vitrail::data
