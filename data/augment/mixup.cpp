#include "vitrail/data/augment/mixup.h"

#include "vitrail/core/error.h"

#include <algorithm>
#include <cmath>

namespace vitrail::data {
namespace {

/// Writes row y of a sample to out, from the unmixed rows of the sample and its partner.
void mix_row(const Mix& mix, int64_t y, std::span<const float> own, std::span<const float> other, float* out) {
  if (mix.cutmix) {
    if (y >= mix.box.top && y < mix.box.top + mix.box.height)
      std::copy_n(other.data() + mix.box.left, mix.box.width, out + mix.box.left);
  } else if (mix.lambda != 1) {
    const float a = float(mix.lambda), b = float(1 - mix.lambda);
    for (size_t x = 0; x < own.size(); ++x) out[x] = a * own[x] + b * other[x];
  }
}

void check_pairs(int64_t batch, const Mixup::Params& params) {
  check<ShapeError>(int64_t(params.size()) == batch && batch % 2 == 0, "mixup", "{} mixes for a batch of {}",
                    params.size(), batch);
}

}  // namespace

Box cutmix_box(ImageSize image, double lambda, int64_t center_row, int64_t center_column) {
  const double ratio = std::sqrt(1 - lambda);
  const int64_t half_height = int64_t(double(image.height) * ratio) / 2;
  const int64_t half_width = int64_t(double(image.width) * ratio) / 2;
  const int64_t top = std::clamp(center_row - half_height, int64_t{0}, image.height);
  const int64_t bottom = std::clamp(center_row + half_height, int64_t{0}, image.height);
  const int64_t left = std::clamp(center_column - half_width, int64_t{0}, image.width);
  const int64_t right = std::clamp(center_column + half_width, int64_t{0}, image.width);
  return {top, left, bottom - top, right - left};
}

double lambda_of(ImageSize image, const Box& box) {
  return 1 - double(box.height * box.width) / double(image.height * image.width);
}

Mixup::Mixup(const Config& c) : config_(c) {
  check<ConfigError>(c.mixup_alpha >= 0 && c.cutmix_alpha >= 0 && c.mixup_alpha + c.cutmix_alpha > 0, "mixup",
                     "alpha is {} for mixup and {} for cutmix; one must be positive, none negative", c.mixup_alpha,
                     c.cutmix_alpha);
  for (const double p : {c.probability, c.switch_probability, c.label_smoothing})
    check<ConfigError>(0 <= p && p <= 1, "mixup", "{} is not in [0, 1]", p);
}

Mix Mixup::sample_one(Rng& rng, ImageSize image) const {
  if (!rng.bernoulli(config_.probability)) return {};
  const bool has_both = config_.mixup_alpha > 0 && config_.cutmix_alpha > 0;
  const bool cutmix = has_both ? rng.bernoulli(config_.switch_probability) : config_.cutmix_alpha > 0;
  const double alpha = cutmix ? config_.cutmix_alpha : config_.mixup_alpha;
  const double lambda = rng.beta(alpha, alpha);
  if (!cutmix) return {.lambda = lambda};
  const int64_t row = rng.below(image.height), column = rng.below(image.width);
  const Box box = cutmix_box(image, lambda, row, column);
  return {lambda_of(image, box), true, box};
}

Mixup::Params Mixup::sample(Rng& rng, int64_t batch, ImageSize image) const {
  check<ShapeError>(batch % 2 == 0, "mixup", "a batch of {} has no pairs; it must be even", batch);
  Params params(static_cast<size_t>(batch));
  if (config_.mode == MixupMode::batch) {
    std::fill(params.begin(), params.end(), sample_one(rng, image));
  } else {
    const size_t drawn = params.size() / (config_.mode == MixupMode::pair ? 2 : 1);
    for (size_t i = 0; i < drawn; ++i) params[i] = sample_one(rng, image);
    for (size_t i = drawn; i < params.size(); ++i) params[i] = params[params.size() - 1 - i];
  }
  return params;
}

void Mixup::apply(Tensor& images, const Params& params) const {
  check<ShapeError>(images.rank() == 4 && images.dtype() == DType::f32 && images.is_contiguous(), "mixup",
                    "images are {} {}; they must be f32 [B, C, H, W]", images.dtype(), images.shape());
  const int64_t batch = images.size(0), channels = images.size(1), height = images.size(2), width = images.size(3);
  check_pairs(batch, params);
  std::vector<float> rows(static_cast<size_t>(2 * width));  // unmixed rows of a sample and its partner
  const std::span<const float> first(rows.data(), size_t(width)), second(rows.data() + width, size_t(width));
  const int64_t sample = channels * height * width;
  for (int64_t i = 0; i < batch / 2; ++i) {
    float *a = images.data<float>() + i * sample, *b = images.data<float>() + (batch - 1 - i) * sample;
    for (int64_t row = 0; row < channels * height; ++row, a += width, b += width) {
      std::copy_n(a, width, rows.data());
      std::copy_n(b, width, rows.data() + width);
      mix_row(params[size_t(i)], row % height, first, second, a);
      mix_row(params[size_t(batch - 1 - i)], row % height, second, first, b);
    }
  }
}

Tensor Mixup::targets(const Tensor& labels, int64_t num_classes, const Params& params) const {
  const int64_t batch = labels.numel();
  check_pairs(batch, params);
  const auto label = labels.span<int64_t>();
  for (const int64_t l : label)
    check<DataError>(0 <= l && l < num_classes, "mixup", "label {} is not one of {} classes", l, num_classes);
  const float smoothing = float(config_.label_smoothing);
  Tensor targets = full({batch, num_classes}, smoothing / float(num_classes));
  for (int64_t i = 0; i < batch; ++i) {
    float* row = targets.data<float>() + i * num_classes;
    const float lambda = float(params[size_t(i)].lambda);
    row[label[size_t(i)]] += lambda * (1 - smoothing);
    row[label[size_t(batch - 1 - i)]] += (1 - lambda) * (1 - smoothing);
  }
  return targets;
}

}  // namespace vitrail::data
