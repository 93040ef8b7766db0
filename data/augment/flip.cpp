#include "vitrail/data/augment/flip.h"

#include <algorithm>

namespace vitrail::data {

Image flip_horizontal(Image image) {
  for (int64_t y = 0; y < image.height(); ++y) {
    uint8_t *left = image.at(y, 0), *right = image.at(y, image.width() - 1);
    for (; left < right; left += 3, right -= 3) std::swap_ranges(left, left + 3, right);
  }
  return image;
}

Image flip_vertical(Image image) {
  for (int64_t y = 0; y < image.height() / 2; ++y)
    std::swap_ranges(image.at(y, 0), image.at(y + 1, 0), image.at(image.height() - 1 - y, 0));
  return image;
}

}  // namespace vitrail::data
