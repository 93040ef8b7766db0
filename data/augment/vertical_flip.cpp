#include "vitrail/data/augment/vertical_flip.h"

#include <algorithm>

namespace vitrail::data {

Image flip_vertical(Image image) {
  for (int64_t y = 0; y < image.height() / 2; ++y)
    std::swap_ranges(image.at(y, 0), image.at(y + 1, 0), image.at(image.height() - 1 - y, 0));
  return image;
}

}  // namespace vitrail::data
