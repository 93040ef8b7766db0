#include "recipes/dino_data.h"

#include "core/error.h"
#include "data/open_dataset.h"

namespace vitrail::recipes {
namespace {

std::array<double, 2> pair_of(const std::vector<double>& v) { return {v[0], v[1]}; }
data::Normalize::Channels channels_of(const std::vector<double>& v) { return {v[0], v[1], v[2]}; }

}  // namespace

data::MultiCrop multi_crop(const DinoConfig& config) {
  const DinoConfig::Crops& c = config.crops;
  return data::MultiCrop({.global_size = config.data.img_size,
                          .local_size = c.local_size,
                          .local_count = c.local_number,
                          .global_scale = pair_of(c.global_scale),
                          .local_scale = pair_of(c.local_scale),
                          .filter = data::parse_filter(config.data.interpolation),
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
                          .std = channels_of(config.data.std)});
}

DinoData::DinoData(const DinoConfig& config) : config_(config), bad_files_(bad_files_policy(config.data)) {
  try {
    train_ = open_labelled(config.data, config.data.train_split);
    val_ = open_labelled(config.data, config.data.val_split);
    check<DataError>(train_->classes() == val_->classes(), "data", "the parts '{}' and '{}' have different classes",
                     config.data.train_split, config.data.val_split);
  } catch (const DataError& error) {
    why_unlabelled_ = error.what();
    val_.reset();
    train_ = data::open_dataset(config.data.root, config.data.train_split, {.labelled = false});
  }
}

std::unique_ptr<data::Loader> DinoData::train_loader(const data::LoaderState& start) {
  const data::MultiCrop crops = multi_crop(config_);
  data::LoaderOptions options;
  options.batch_size = config_.train.batch_size;
  options.views = crops.views();
  options.seed = uint64_t(config_.seed);
  options.shuffle = options.drop_last = true;
  options.epochs = config_.train.epochs;
  options.start = start;
  options.workers = int(config_.data.workers);
  options.prefetch = int(config_.data.prefetch);
  return std::make_unique<data::Loader>(*train_, data::ViewsTransform(crops), options, bad_files_);
}

std::unique_ptr<data::Loader> DinoData::plain_train_loader() {
  return eval_loader(config_.data, *train_, config_.train.batch_size, bad_files_);
}

std::unique_ptr<data::Loader> DinoData::val_loader() {
  return eval_loader(config_.data, *val_, config_.train.batch_size, bad_files_);
}

}  // namespace vitrail::recipes
