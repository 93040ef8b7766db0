// The `data:` section of a recipe, and the images and loaders it asks for, for training and for a look at them.
#pragma once

#include "vitrail/data/augment/image_transform.h"
#include "vitrail/data/load/image_batch.h"
#include "vitrail/data/load/loader.h"
#include "vitrail/recipes/build/preprocessing.h"
#include "vitrail/recipes/config/fields.h"
#include "vitrail/recipes/run/recipe.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::recipes {

struct DataConfig {
  std::string root;
  std::string train_split = "train", val_split = "val";
  double subset = 1;
  int64_t subset_seed = 0;
  int64_t img_size = 224;
  std::string crop = "random_resized";
  std::vector<double> crop_scale{0.08, 1};
  int64_t crop_padding = 4;
  double hflip = 0.5, vflip = 0;
  std::optional<std::string> auto_augment;
  std::vector<double> color_jitter{0, 0, 0, 0};
  double random_erasing = 0;
  std::string random_erasing_mode = "pixel";
  int64_t random_erasing_count = 1;
  int64_t repeated_aug = 1;
  double eval_crop = 0.875;
  std::string interpolation = "bicubic";
  std::vector<double> mean{0.485, 0.456, 0.406}, std{0.229, 0.224, 0.225};
  int64_t workers = 2;
  int64_t prefetch = 4;
  std::string on_error = "fail";
  double max_bad = 0.01;
  /// No key: a published model's own way, which evaluations then go instead of what the keys say.
  std::optional<Preprocessing> published;

  void describe(Fields& f);
  /// The same in parts: where images come from, what makes a training image of one, how pixels become numbers, and
  /// how files are read.
  void describe_source(Fields& f);
  void describe_augmentation(Fields& f);
  void describe_pixels(Fields& f);
  void describe_reading(Fields& f);
};

/// What a training image goes through, and what a validation image does.
data::ImageTransform train_transform(const DataConfig& config);
data::ImageTransform eval_transform(const DataConfig& config);
/// To what the shorter side of a validation image is brought before its central img_size x img_size is cut out.
int64_t eval_shorter_side(const DataConfig& config);

/// The labelled part of config.root named split. Throws ConfigError if root is empty; DataError or IoError as
/// data::open_dataset; DataError if it has no labels.
std::unique_ptr<data::Dataset> open_labelled(const DataConfig& config, const std::string& split);
/// What to train on, as open_training, and what to evaluate on, with the same classes. Throws as open_labelled;
/// DataError for different classes.
struct LabelledParts {
  std::unique_ptr<data::Dataset> train, val;
};
LabelledParts open_parts(const DataConfig& config);
/// The part to train on, or its stratified share that config.subset asks for. Throws as open_labelled.
std::unique_ptr<data::Dataset> open_training(const DataConfig& config);
/// An empty list with the policy of the section.
data::BadFiles bad_files_policy(const DataConfig& config);
/// All of a dataset, once, in order, as a model is evaluated on it. dataset and bad_files outlive the loader.
std::unique_ptr<data::Loader> eval_loader(const DataConfig& config, const data::Dataset& dataset, int64_t batch_size,
                                          data::BadFiles& bad_files);

/// Training images, augmented as the section says. dataset and bad_files outlive it.
data::ImageBatch training_images(const DataConfig& config, const data::Dataset& dataset, data::BadFiles& bad_files);
/// Batches in random order; the last images of an epoch are left out if they fill no batch.
data::LoaderOptions shuffled(const DataConfig& config, int64_t seed, int64_t batch_size, int64_t epochs,
                             const data::LoaderState& start);

/// Images in an epoch of shuffled batches from a dataset of so many.
int64_t epoch_length(const DataConfig& config, int64_t seed, int64_t images);

/// All of a dataset in order, so many times, augmented anew each time as in training.
std::unique_ptr<data::Loader> augmented_loader(const DataConfig& config, int64_t seed, const data::Dataset& dataset,
                                               int64_t batch_size, int64_t epochs, data::BadFiles& bad_files);

/// An image [3, H, W] that was normalised as the section says; what noise put outside of 8 bits is clipped.
data::Image to_image(const Tensor& normalized, const DataConfig& config);

/// The first images of a training run with that seed as the model sees them, but for the normalisation; fewer than
/// count if there are fewer. Throws DataError or IoError.
Preview preview(const DataConfig& config, int64_t seed, int64_t count);

/// Labelled images of a training and a validation part with the same classes.
class ImageData {
 public:
  /// Throws DataError or IoError as data::open_dataset; DataError if the parts have no labels or different classes.
  ImageData(const DataConfig& config, int64_t seed);

  int64_t classes() const { return int64_t(parts_.train->classes().size()); }
  int64_t train_size() const { return parts_.train->size(); }
  /// Images in an epoch of training: train_size(), or a little less where images are repeated.
  int64_t epoch_size() const;
  /// See training_images and shuffled.
  std::unique_ptr<data::Loader> train_loader(int64_t batch_size, int64_t epochs, const data::LoaderState& start);
  /// All of the validation part, once, in order.
  std::unique_ptr<data::Loader> val_loader(int64_t batch_size);

 private:
  DataConfig config_;
  int64_t seed_;
  data::BadFiles bad_files_;
  LabelledParts parts_;
};

}  // namespace vitrail::recipes
