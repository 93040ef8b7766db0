// Normalize: from 8-bit pixels to the floats a model takes.
#pragma once

#include "vitrail/data/image/image.h"

#include <array>
#include <span>

namespace vitrail::data {

/// Per channel (v / 255 - mean) / std, in f32, from [H, W, 3] to [3, H, W].
class Normalize final {
 public:
  using Channels = std::array<double, 3>;

  /// Throws ConfigError if a std is not positive.
  Normalize(const Channels& mean, const Channels& std);

  /// Shape: out has 3 H W elements. Throws ShapeError if not.
  void operator()(const Image& image, std::span<float> out) const;

 private:
  std::array<std::array<float, 256>, 3> table_;  // the result by channel and byte
};

inline constexpr Normalize::Channels kImageNetMean = {0.485, 0.456, 0.406}, kImageNetStd = {0.229, 0.224, 0.225};
inline constexpr Normalize::Channels kHalfMean = {0.5, 0.5, 0.5}, kHalfStd = {0.5, 0.5, 0.5};

}  // namespace vitrail::data
