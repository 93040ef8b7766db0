// PadSquare: puts an image that is not square on a square, so that nothing of it is cut off.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/image/image.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace vitrail::data {

/// The image in the middle of a square whose side is its longer one. The rest has one colour. If it is an odd number of
/// pixels, the smaller border is above or on the left.
/// Source: expand2square of LLaVA's own program.
class PadSquare final {
 public:
  using Color = std::array<uint8_t, 3>;
  struct Params {};

  explicit PadSquare(const Color& color) : color_(color) {}
  /// The colour for a mean in 0..1, rounded down as there.
  static Color mean_color(const std::array<double, 3>& mean) {
    Color color;
    std::transform(mean.begin(), mean.end(), color.begin(),
                   [](double value) { return uint8_t(std::clamp(value * 255, 0.0, 255.0)); });
    return color;
  }

  Params sample(Rng&, ImageSize) const { return {}; }
  Image apply(const Image& image, const Params&) const {
    const int64_t height = image.height(), width = image.width(), side = std::max(height, width);
    if (height == width) return image;
    Image square(side, side);
    for (size_t i = 0; i < square.pixels().size(); i += 3) std::copy(color_.begin(), color_.end(), square.data() + i);
    const int64_t top = (side - height) / 2, left = (side - width) / 2;
    for (int64_t y = 0; y < height; ++y) std::copy_n(image.at(y, 0), 3 * width, square.at(top + y, left));
    return square;
  }

 private:
  Color color_;
};

}  // namespace vitrail::data
