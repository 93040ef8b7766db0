// The whole way from a decoded image to a model's input, for training and for evaluation, described by a few numbers.
// A new augmentation of the training transform is one file beside this one and one line in transforms.cpp.
#pragma once

#include "../resize.h"
#include "augmentation.h"
#include "normalize.h"

#include <span>

namespace vitrail::data {

/// Augmentations, then Normalize; what the Loader calls for each image.
class ImageTransform final {
 public:
  ImageTransform(Pipeline augmentations, const Normalize& normalize)
      : augmentations_(std::move(augmentations)), normalize_(normalize) {}

  /// The image as the model will see it, before normalisation.
  Image augmented(const Image& image, Rng& rng) const { return augmentations_(image, rng); }
  /// Shape: out is [3, img_size, img_size].
  void operator()(const Image& image, Rng& rng, std::span<float> out) const { normalize_(augmented(image, rng), out); }

 private:
  Pipeline augmentations_;
  Normalize normalize_;
};

/// Images of at most this size are padded and cropped instead of resized.
inline constexpr int64_t kSmallImage = 32;

/// Source: Touvron et al. 2021 (arXiv:2012.12877), table 9.
struct TrainTransform {
  int64_t img_size = 224;
  double min_scale = 0.08, max_scale = 1;
  double min_ratio = 3. / 4, max_ratio = 4. / 3;
  double hflip = 0.5;  // probability
  Filter filter = Filter::bicubic;
  Normalize::Channels mean = kImageNetMean, std = kImageNetStd;
};
/// RandomResizedCrop, or up to 32 pixels PadRandomCrop by 4; HorizontalFlip; Normalize.
ImageTransform train_transform(const TrainTransform& config);

struct EvalTransform {
  int64_t img_size = 224;
  double crop_pct = 0.875;  // crop / resized shorter side; not used up to 32 pixels
  Filter filter = Filter::bicubic;
  Normalize::Channels mean = kImageNetMean, std = kImageNetStd;
};
/// ResizeCenterCrop, Normalize.
ImageTransform eval_transform(const EvalTransform& config);

}  // namespace vitrail::data
