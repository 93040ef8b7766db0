#include "vitrail/data/augment/normalize.h"

#include "vitrail/core/error.h"

namespace vitrail::data {

Normalize::Normalize(const Channels& mean, const Channels& std) {
  for (size_t c = 0; c < 3; ++c) {
    check<ConfigError>(std[c] > 0, "normalize", "std of channel {} is {}; it must be positive", c, std[c]);
    for (size_t v = 0; v < 256; ++v) table_[c][v] = (float(v) / 255.0f - float(mean[c])) / float(std[c]);
  }
}

void Normalize::operator()(const Image& image, std::span<float> out) const {
  const size_t count = image.pixels().size() / 3;
  check<ShapeError>(out.size() == 3 * count, "normalize", "an image of {} does not fill {} elements", image.size(),
                    out.size());
  const uint8_t* pixel = image.data();
  for (size_t i = 0; i < count; ++i, pixel += 3)
    for (size_t c = 0; c < 3; ++c) out[c * count + i] = table_[c][pixel[c]];
}

}  // namespace vitrail::data
