// Blur and sharpness, equal byte for byte to Pillow's ImageFilter and ImageEnhance.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/image/image.h"

#include <utility>

namespace vitrail::data {

/// The mean over a square of side 2 radius + 1. The outermost pixels are weighted by the fractional part of the radius.
/// Runs along rows, then along columns, and rounds each to 8 bits. Border pixels are repeated outside of the image.
/// Throws: ConfigError for a negative radius.
Image box_blur(Image image, double radius);
/// Pillow's approximation of a Gaussian with standard deviation sigma: three box blurs along rows, then three along
/// columns.
/// Throws: ConfigError for a negative sigma.
/// Source: Gwosdek et al. 2011, "Theoretical foundations of Gaussian convolution by extended box filtering".
Image gaussian_blur(Image image, double sigma);

/// Factor 1 keeps the image, 0 smooths it with (1 1 1, 1 5 1, 1 1 1) / 13. The outermost pixels stay unchanged.
Image adjust_sharpness(Image image, double factor);

/// gaussian_blur() with sigma uniform in a range.
class GaussianBlur final {
 public:
  struct Params {
    double sigma;
  };

  /// Throws ConfigError for a range that is negative or in the wrong order.
  explicit GaussianBlur(double min_sigma = 0.1, double max_sigma = 2);

  Params sample(Rng& rng, ImageSize) const { return {rng.uniform(min_sigma_, max_sigma_)}; }
  Image apply(Image image, const Params& params) const { return gaussian_blur(std::move(image), params.sigma); }

 private:
  double min_sigma_, max_sigma_;
};

}  // namespace vitrail::data
