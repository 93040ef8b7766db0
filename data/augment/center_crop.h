// CenterCrop, ResizeExact, ResizeShorter and ResizeCenterCrop: bring an image to the size that a model takes. Nothing
// is random.
#pragma once

#include "vitrail/core/rng.h"
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

/// The whole image resized to `size`, whatever its proportions.
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

/// The whole image resized so that its shorter side is `shorter`.
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

/// ResizeShorter to `shorter`, then the central square of side `crop`, black where the image is smaller.
class ResizeCenterCrop final {
 public:
  struct Params {};

  ResizeCenterCrop(int64_t shorter, int64_t crop, Filter filter = Filter::bicubic)
      : resize_(shorter, filter), crop_(crop) {}

  Params sample(Rng&, ImageSize) const { return {}; }
  Image apply(const Image& image, const Params&) const { return center_crop(resize_.apply(image, {}), crop_); }

 private:
  ResizeShorter resize_;
  int64_t crop_;
};

}  // namespace vitrail::data
