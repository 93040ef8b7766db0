#include "vitrail/recipes/methods/dino_data.h"

#include "vitrail/core/error.h"

#include <algorithm>

namespace vitrail::recipes {
namespace {

std::array<double, 2> pair_of(const std::vector<double>& v) { return {v[0], v[1]}; }
data::Normalize::Channels channels_of(const std::vector<double>& v) { return {v[0], v[1], v[2]}; }

}  // namespace

data::MultiCrop multi_crop(const SelfDistillationConfig& config) {
  const SelfDistillationConfig::Crops& c = config.crops;
  return data::MultiCrop({.global_size = config.data.img_size,
                          .local_size = c.local_size,
                          .local_count = c.local_number,
                          .global_scale = pair_of(c.global_scale),
                          .local_scale = pair_of(c.local_scale),
                          .filter = config.data.interpolation,
                          .hflip = c.hflip,
                          .jitter = {.brightness = c.color_jitter[0],
                                     .contrast = c.color_jitter[1],
                                     .saturation = c.color_jitter[2],
                                     .hue = c.color_jitter[3]},
                          .jitter_probability = c.color_jitter_prob,
                          .gray_probability = c.gray_prob,
                          .global_blur = pair_of(c.global_blur),
                          .local_blur = c.local_blur,
                          .blur_sigma = pair_of(c.blur_sigma),
                          .solarize = c.solarize_prob,
                          .mean = channels_of(config.data.mean),
                          .std = channels_of(config.data.std),
                          .background = background_of(config.data)});
}

std::vector<Tensor> crops_of(const data::Batch& batch) {
  std::vector<Tensor> crops{batch["global_crops"]};
  if (batch.contains("local_crops")) crops.push_back(batch["local_crops"]);
  return crops;
}

DinoData::DinoData(const SelfDistillationConfig& config) : config_(config), bad_files_(bad_files_policy(config.data)) {
  multi_crop(config);  // refuses bad values now, before a run has a folder
  try {
    LabelledParts parts = open_parts(config.data);
    notes_ = std::move(parts.notes);
    train_ = std::move(parts.train);
    val_ = std::move(parts.val);
  } catch (const DataError& error) {
    why_unlabelled_ = error.what();
    check<ConfigError>(config.data.subset == 1, "data.subset",
                       "{} of each class needs a training and a validation part with labels: {}", config.data.subset,
                       why_unlabelled_);
    train_ = open_images(config.data, config.data.train_split, /*labelled=*/false);
    notes_ = train_->notes();
  }
}

std::string DinoData::text() const {
  return parts_text(config_.data, train_size(), classes(), val_ ? val_->size() : 0);
}

std::unique_ptr<data::Loader> DinoData::train_loader(const data::LoaderState& start, int64_t batch_size, int64_t passes,
                                                     const Shards& shards) {
  const data::MultiCrop crops = multi_crop(config_);
  data::LoaderOptions options;
  options.batch_size = batch_size;
  options.seed = uint64_t(config_.seed);
  options.shuffle = options.drop_last = true;
  options.epochs = passes;
  options.start = start;
  options.shards = shards;
  options.workers = int(config_.data.workers);
  options.prefetch = int(config_.data.prefetch);
  if (config_.data.scaled_decode == ScaledDecode::none)
    return std::make_unique<data::Loader>(data::ImageBatch(*train_, crops, crops.views(), bad_files_), options);
  return std::make_unique<data::Loader>(data::ImageBatch(*train_, data::by_parts(crops), crops.views(), bad_files_),
                                        options);
}

std::unique_ptr<data::Loader> DinoData::plain_train_loader() {
  return eval_loader(config_.data, *train_, config_.train.batch_size, bad_files_);
}

std::unique_ptr<data::Loader> DinoData::val_loader() {
  return eval_loader(config_.data, *val_, config_.train.batch_size, bad_files_);
}

}  // namespace vitrail::recipes
