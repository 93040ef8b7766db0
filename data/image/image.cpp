#include "vitrail/data/image/image.h"

#include "vitrail/core/error.h"

namespace vitrail::data {

std::string to_string(ImageSize size) { return std::to_string(size.height) + " x " + std::to_string(size.width); }

Image::Image(int64_t height, int64_t width) : size_{height, width} {
  check<ShapeError>(height >= 0 && width >= 0, "image", "size {}", size_);
  pixels_.resize(size_t(height * width * 3));
}

}  // namespace vitrail::data
