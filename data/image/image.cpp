#include "vitrail/data/image/image.h"

#include "vitrail/core/error.h"

#include <utility>

namespace vitrail::data {

std::string to_string(ImageSize size) { return std::to_string(size.height) + " x " + std::to_string(size.width); }

Image::Image(int64_t height, int64_t width) : size_{height, width} {
  check<ShapeError>(height >= 0 && width >= 0, "image", "size {}", size_);
  pixels_.resize(size_t(height * width * 3));
}

void Image::set_opacity(std::vector<uint8_t> opacity) {
  check<ShapeError>(opacity.empty() || int64_t(opacity.size()) == height() * width(), "image",
                    "{} bytes of opacity for an image of {}", opacity.size(), size_);
  opacity_ = std::move(opacity);
}

}  // namespace vitrail::data
