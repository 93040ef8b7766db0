// CenterCrop, ResizeExact and ResizeCenterCrop: bring an image to the size that a model takes. Nothing
// is random.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/image/image_part.h"
#include "vitrail/data/image/resize.h"

namespace vitrail::data {

/// How the crop's offset is rounded if it is half a pixel.
enum class CropOffset {
  half_even,  // torchvision
  floor,      // Hugging Face
};

/// The centred square of side `size`, black where the image is smaller.
class CenterCrop final {
 public:
  struct Params {};

  explicit CenterCrop(int64_t size, CropOffset offset = CropOffset::half_even) : size_(size), offset_(offset) {}

  /// The square in an image of that size; it may leave the image.
  Box box(ImageSize image) const {
    if (offset_ == CropOffset::half_even) return center_box(image, size_);
    return {floor_half(image.height - size_), floor_half(image.width - size_), size_, size_};
  }
  Params sample(Rng&, ImageSize) const { return {}; }
  Image apply(const Image& image, const Params&) const { return padded_crop(image, box(image.size())); }

 private:
  static int64_t floor_half(int64_t n) { return n >= 0 ? n / 2 : (n - 1) / 2; }

  int64_t size_;
  CropOffset offset_;
};

/// The whole image resized to `size`, whatever its proportions.
class ResizeExact final {
 public:
  struct Params {};

  ResizeExact(ImageSize size, Filter filter) : size_(size), filter_(filter) {}

  Params sample(Rng&, ImageSize) const { return {}; }
  Image apply(const Image& image, const Params&) const { return resize(image, size_, filter_); }
  /// For an image of fewer pixels: see ReadsPart.
  Demand demand(const Params&, ImageSize image) const { return {whole_image(image).box, size_}; }
  Image apply(const ImagePart& part, const Params&) const {
    return resize_and_crop(part, size_, whole_image(size_).box, filter_);
  }

 private:
  ImageSize size_;
  Filter filter_;
};

/// The whole image resized so that its shorter side is `shorter`, then the central square of side `crop`, black where
/// the image is smaller. Only the square is computed, so a long image takes no more memory than a square one.
class ResizeCenterCrop final {
 public:
  struct Params {};

  ResizeCenterCrop(int64_t shorter, int64_t crop, Filter filter = Filter::bicubic,
                   CropOffset offset = CropOffset::half_even)
      : shorter_(shorter), filter_(filter), crop_(crop, offset) {}

  Params sample(Rng&, ImageSize) const { return {}; }
  Image apply(const Image& image, const Params&) const {
    const ImageSize size = resize_shorter(image.size(), shorter_);
    return resize_and_crop(image, size, crop_.box(size), filter_);
  }
  /// For an image of fewer pixels: see ReadsPart.
  Demand demand(const Params&, ImageSize image) const {
    return {whole_image(image).box, resize_shorter(image, shorter_)};
  }
  Image apply(const ImagePart& part, const Params&) const {
    const ImageSize size = resize_shorter(part.whole, shorter_);
    return resize_and_crop(part, size, crop_.box(size), filter_);
  }

 private:
  int64_t shorter_;
  Filter filter_;
  CenterCrop crop_;
};

}  // namespace vitrail::data
