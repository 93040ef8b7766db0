#include "data/augment/vertical_flip.h"

#include <algorithm>

namespace vitrail::data {

Image flip_vertical(const Image& image) {
  Image flipped(image.size());
  for (int64_t y = 0; y < image.height(); ++y)
    std::copy_n(image.at(image.height() - 1 - y, 0), 3 * image.width(), flipped.at(y, 0));
  return flipped;
}

}  // namespace vitrail::data
