#include "vitrail/data/augment/multi_crop.h"

#include "vitrail/core/error.h"
#include "vitrail/data/augment/blur.h"
#include "vitrail/data/augment/flip.h"
#include "vitrail/data/augment/random_apply.h"
#include "vitrail/data/augment/random_resized_crop.h"
#include "vitrail/data/augment/tones.h"

namespace vitrail::data {

MultiCrop::MultiCrop(const Config& c)
    : config_(c),
      normalize_(c.mean, c.std),
      pipelines_{pipeline(c.global_size, c.global_scale, c.global_blur[0], 0),
                 pipeline(c.global_size, c.global_scale, c.global_blur[1], c.solarize),
                 pipeline(c.local_size, c.local_scale, c.local_blur, 0)} {
  check<ConfigError>(c.local_count >= 0, "multi_crop", "local_count is {}", c.local_count);
}

Pipeline MultiCrop::pipeline(int64_t size, const std::array<double, 2>& scale, double blur, double solarize) const {
  const Config& c = config_;
  Pipeline steps;
  steps.add(RandomResizedCrop({.size = size, .min_scale = scale[0], .max_scale = scale[1], .filter = c.filter}));
  steps.add(HorizontalFlip(c.hflip));
  steps.add(RandomApply(c.jitter_probability, ColorJitter(c.jitter)));
  steps.add(RandomApply(c.gray_probability, Grayscale()));
  if (blur > 0) steps.add(RandomApply(blur, GaussianBlur(c.blur_sigma[0], c.blur_sigma[1])));
  if (solarize > 0) steps.add(RandomApply(solarize, Solarize()));
  return steps;
}

std::vector<Views> MultiCrop::views() const {
  std::vector<Views> views = {{{3, config_.global_size, config_.global_size}, 2, "global_crops"}};
  if (config_.local_count > 0)
    views.push_back({{3, config_.local_size, config_.local_size}, config_.local_count, "local_crops"});
  return views;
}

std::vector<Image> MultiCrop::augmented(const Image& image, Rng& rng) const {
  if (!image.opacity().empty()) return augmented(config_.background.under(image), rng);
  std::vector<Image> images;
  for (size_t view = 0; view < count(); ++view) images.push_back(pipeline_of(view)(image, rng));
  return images;
}

void MultiCrop::operator()(const Image& image, Rng& rng, std::span<const std::span<float>> out) const {
  check<ShapeError>(out.size() == count(), "multi_crop", "out has room for {} views; there are {}", out.size(),
                    count());
  if (!image.opacity().empty()) return (*this)(config_.background.under(image), rng, out);
  for (size_t view = 0; view < count(); ++view) normalize_(pipeline_of(view)(image, rng), out[view]);
}

void MultiCrop::operator()(const ImagePart& part, Rng& rng, std::span<const std::span<float>> out) const {
  if (part.is_whole()) return (*this)(part.pixels, rng, out);
  check<ShapeError>(out.size() == count(), "multi_crop", "out has room for {} views; there are {}", out.size(),
                    count());
  for (size_t view = 0; view < count(); ++view) normalize_(pipeline_of(view)(part, rng), out[view]);
}

PartRequest MultiCrop::request(ImageSize size, Rng rng) const {
  std::vector<Demand> demands;
  for (size_t view = 0; view < count(); ++view) demands.push_back(*pipeline_of(view).demand(size, rng));
  return request_for(demands);
}

}  // namespace vitrail::data
