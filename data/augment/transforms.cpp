#include "data/augment/transforms.h"

#include "core/error.h"
#include "data/augment/horizontal_flip.h"
#include "data/augment/pad_random_crop.h"
#include "data/augment/random_resized_crop.h"
#include "data/augment/resize_center_crop.h"

namespace vitrail::data {

ImageTransform train_transform(const TrainTransform& config) {
  const int64_t size = config.img_size;
  check<ConfigError>(size > 0, "train_transform", "img_size {}", size);
  Pipeline pipeline;
  if (size <= kSmallImage) {
    pipeline.add(ResizeCenterCrop(size, size, config.filter));  // for images that are not of that size already
    pipeline.add(PadRandomCrop(size));
  } else {
    pipeline.add(RandomResizedCrop({.size = size,
                                    .min_scale = config.min_scale,
                                    .max_scale = config.max_scale,
                                    .min_ratio = config.min_ratio,
                                    .max_ratio = config.max_ratio,
                                    .filter = config.filter}));
  }
  if (config.hflip > 0) pipeline.add(HorizontalFlip(config.hflip));
  return {std::move(pipeline), Normalize(config.mean, config.std)};
}

ImageTransform eval_transform(const EvalTransform& config) {
  const int64_t size = config.img_size;
  check<ConfigError>(size > 0, "eval_transform", "img_size {}", size);
  check<ConfigError>(config.crop_pct > 0, "eval_transform", "crop_pct {}", config.crop_pct);
  const int64_t shorter = size <= kSmallImage ? size : int64_t(double(size) / config.crop_pct);
  Pipeline pipeline;
  pipeline.add(ResizeCenterCrop(shorter, size, config.filter));
  return {std::move(pipeline), Normalize(config.mean, config.std)};
}

}  // namespace vitrail::data
