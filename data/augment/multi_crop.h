// MultiCrop: DINO's crops of an image, two large ones and many small ones.
#pragma once

#include "vitrail/data/augment/augmentation.h"
#include "vitrail/data/augment/color.h"
#include "vitrail/data/augment/normalize.h"
#include "vitrail/data/image/background.h"
#include "vitrail/data/image/image_part.h"
#include "vitrail/data/image/resize.h"
#include "vitrail/data/load/views.h"

#include <array>
#include <span>
#include <vector>

namespace vitrail::data {

/// Two global views, augmented differently, and local ones; an ImageBatch calls it for each image.
///
/// Each crop is resized, flipped at random, jittered in colour with probability 0.8, made grey with probability 0.2,
/// blurred, and normalised. The second global crop is also solarized at random. Source: Caron et al. 2021
/// (arXiv:2104.14294), section 3 and its code's DataAugmentationDINO.
class MultiCrop final {
 public:
  struct Config {
    int64_t global_size = 224, local_size = 96, local_count = 8;
    std::array<double, 2> global_scale{0.4, 1}, local_scale{0.05, 0.4};  // shares of the image's area
    Filter filter = Filter::bicubic;
    double hflip = 0.5;
    ColorJitter::Config jitter{.brightness = 0.4, .contrast = 0.4, .saturation = 0.2, .hue = 0.1};
    double jitter_probability = 0.8, gray_probability = 0.2;
    std::array<double, 2> global_blur{1, 0.1};  // probability for each of the two
    double local_blur = 0.5;
    std::array<double, 2> blur_sigma{0.1, 2};
    double solarize = 0.2;  // probability, of the second global view
    Normalize::Channels mean = kImageNetMean, std = kImageNetStd;
    Background background{};
  };

  /// Throws ConfigError for numbers that the single augmentations refuse, or a negative local_count.
  explicit MultiCrop(const Config& config);

  /// For ImageBatch: "global_crops", then "local_crops" unless local_count is 0.
  std::vector<Views> views() const;
  /// All views in the order of views(), before normalisation.
  std::vector<Image> augmented(const Image& image, Rng& rng) const;
  /// out: one [3, H, W] for each view, in the order of views(). Throws ShapeError for another number of views.
  void operator()(const Image& image, Rng& rng, std::span<const std::span<float>> out) const;
  /// The same for the part that request() asks for, with the same rng.
  void operator()(const ImagePart& part, Rng& rng, std::span<const std::span<float>> out) const;
  /// The part of an image of that size that serves all views; rng is left as it is. For by_parts, which an ImageBatch
  /// takes.
  PartRequest request(ImageSize size, Rng rng) const;

 private:
  Pipeline pipeline(int64_t size, const std::array<double, 2>& scale, double blur, double solarize) const;
  const Pipeline& pipeline_of(size_t view) const { return pipelines_[view < 2 ? view : 2]; }
  size_t count() const { return size_t(2 + config_.local_count); }

  Config config_;
  Normalize normalize_;
  std::array<Pipeline, 3> pipelines_;  // global, the other global, local
};

}  // namespace vitrail::data
