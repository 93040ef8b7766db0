#include "vitrail/data/augment/horizontal_flip.h"

#include <algorithm>

namespace vitrail::data {

Image flip_horizontal(Image image) {
  for (int64_t y = 0; y < image.height(); ++y) {
    uint8_t *left = image.at(y, 0), *right = image.at(y, image.width() - 1);
    for (; left < right; left += 3, right -= 3) std::swap_ranges(left, left + 3, right);
  }
  return image;
}

}  // namespace vitrail::data
