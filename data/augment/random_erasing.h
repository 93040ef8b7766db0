// RandomErasing: replaces rectangles of a normalised image by noise.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/image/resize.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

/// Fills a rectangle with zeros, with one normal number for each channel, or with one for each value.
enum class EraseFill { constant, channel, pixel };

/// The size of the rectangle with that share of the area and that aspect ratio, height / width; sides are rounded half
/// to even. Its position is left open. The box is empty if a side is not smaller than the image's.
Box erase_box(ImageSize image, double area_share, double aspect);

/// Erases rectangles of random area and aspect ratio with a probability. It runs after normalisation, so 0 is the mean.
/// Source: Zhong et al. 2020 (arXiv:1708.04896); numbers and fillings as in timm.
class RandomErasing final {
 public:
  struct Config {
    double probability = 0.25;
    double min_area = 0.02, max_area = 1.0 / 3;  // share of the image, for all rectangles together
    double min_aspect = 0.3;                     // the largest is 1 / min_aspect
    EraseFill fill = EraseFill::pixel;
    int count = 1;
  };
  struct Erased {
    Box box;
    std::vector<float> values;  // [3] or [3, height, width]
  };
  using Params = std::vector<Erased>;

  /// Throws ConfigError for bounds that cannot be used.
  explicit RandomErasing(const Config& config);

  /// The rectangles alone, without their values.
  std::vector<Box> sample_boxes(Rng& rng, ImageSize size) const;
  Params sample(Rng& rng, ImageSize size) const;
  /// image: [3, H, W], changed in place. Throws ShapeError for another shape, or if a box or its values do not fit.
  void apply(std::span<float> image, ImageSize size, const Params& params) const;

 private:
  Config config_;
};

}  // namespace vitrail::data
