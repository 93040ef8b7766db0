#include "data/augment/horizontal_flip.h"

#include <algorithm>

namespace vitrail::data {

Image flip_horizontal(const Image& image) {
  Image out(image.size());
  for (int64_t y = 0; y < image.height(); ++y)
    for (int64_t x = 0; x < image.width(); ++x) std::copy_n(image.at(y, image.width() - 1 - x), 3, out.at(y, x));
  return out;
}

}  // namespace vitrail::data
