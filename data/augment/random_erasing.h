// RandomErasing: rectangles of a normalised image replaced by noise.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/image/resize.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

/// What a rectangle is filled with: zeros, one normal number a channel, or one a value.
enum class EraseFill { constant, channel, pixel };

/// The rectangle of that share of the area and aspect ratio, height / width; sides are rounded half to even. Where it
/// lies is left open. Its sides are smaller than the image's, or there is none (empty box).
Box erase_box(ImageSize image, double area_share, double aspect);

/// Erases rectangles of random area and aspect ratio, with a probability. After normalisation, so 0 is the mean.
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

  /// The rectangles alone, without what fills them.
  std::vector<Box> sample_boxes(Rng& rng, ImageSize size) const;
  Params sample(Rng& rng, ImageSize size) const;
  /// Shape: image is [3, H, W], in place. Throws ShapeError if it is not, or a box or its values do not fit.
  void apply(std::span<float> image, ImageSize size, const Params& params) const;

 private:
  Config config_;
};

}  // namespace vitrail::data
