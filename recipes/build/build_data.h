// The `data:` section of a recipe, and the datasets, transforms and loaders that it describes.
#pragma once

#include "vitrail/data/augment/image_transform.h"
#include "vitrail/data/load/image_batch.h"
#include "vitrail/data/load/loader.h"
#include "vitrail/data/shapes/shapes.h"
#include "vitrail/data/sources/pairs.h"
#include "vitrail/recipes/build/preprocessing.h"
#include "vitrail/recipes/config/fields.h"
#include "vitrail/recipes/run/recipe.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::recipes {

enum class TrainCrop {
  random_resized,  // a random part of the image
  pad,             // a shift
  none,            // the whole image
};

/// How a whole image that is not square becomes one.
enum class Square {
  crop,     // its middle part
  pad,      // on a square of the mean colour
  stretch,  // with other proportions
};

enum class ScaledDecode {
  none,   // every image whole
  train,  // training crops
  all,    // the images of evaluations too
};

enum class DataSource {
  files,   // at data.root
  shapes,  // synthetic scenes
};

struct DataConfig {
  std::string root;
  std::string train_split = "train", val_split = "val";
  std::string val_root;
  std::string classes;
  double val_fraction = 0;
  int64_t val_seed = 0;
  bool follow_symlinks = false;
  double subset = 1;
  int64_t subset_seed = 0;
  int64_t img_size = 224;
  TrainCrop crop = TrainCrop::random_resized;
  Square square = Square::crop;
  std::vector<double> crop_scale{0.08, 1};
  int64_t crop_padding = 4;
  double hflip = 0.5, vflip = 0;
  std::optional<std::string> auto_augment;
  std::vector<double> color_jitter{0, 0, 0, 0};
  double random_erasing = 0;
  data::EraseFill random_erasing_mode = data::EraseFill::pixel;
  int64_t random_erasing_count = 1;
  int64_t repeated_aug = 1;
  double eval_crop = 0.875;
  data::Filter interpolation = data::Filter::bicubic;
  std::vector<double> mean{0.485, 0.456, 0.406}, std{0.229, 0.224, 0.225};
  std::optional<std::string> background;
  ScaledDecode scaled_decode = ScaledDecode::train;
  int64_t workers = 2;
  int64_t prefetch = 4;
  data::OnError on_error = data::OnError::fail;
  double max_bad = 0.01;
  DataSource source = DataSource::files;
  data::ShapesOptions shapes;

  void describe(Fields& f);
  /// The same in parts: where the images are and (in this) what is held back, augmentation, pixels to numbers, and
  /// reading.
  void describe_source(Fields& f);
  void describe_division(Fields& f);
  /// For recipes that can do without files: `source` and the keys of `shapes`.
  void describe_generator(Fields& f);
  void describe_augmentation(Fields& f);
  void describe_pixels(Fields& f);
  void describe_reading(Fields& f);
  /// For recipes that take whole images: `square`.
  void describe_square(Fields& f);
};

/// What is behind transparent pixels. Throws ConfigError for a text that is no colour.
data::Background background_of(const DataConfig& config);
/// The transform of training images, and the preprocessing of validation images.
data::ImageTransform train_transform(const DataConfig& config);
Preprocessing eval_preprocessing(const DataConfig& config);

/// The part `split` of the dataset at config.root. With config.val_fraction, and no config.val_root, the validation
/// part is that share of the training part (data::hold_out), and the training part is the rest. Throws ConfigError if
/// root is empty, or if val_fraction is given and there is a validation part; DataError or IoError as
/// data::open_dataset.
std::unique_ptr<data::Dataset> open_images(const DataConfig& config, const std::string& split, bool labelled);
/// The same with labels, those of the file config.classes if there is one. Throws DataError if it has none, and as
/// data::with_class_file.
std::unique_ptr<data::Dataset> open_labelled(const DataConfig& config, const std::string& split);
/// The same for images with captions of the kinds, all if empty; or those of config.shapes. Throws as data::open_pairs.
data::Pairs open_captioned(const DataConfig& config, const std::string& split, const std::vector<std::string>& kinds);
/// The same for conversations: those at config.root, or the questions of config.shapes. With config.val_fraction images
/// are held back together with all that is said about them. Throws as data::open_conversations.
data::Conversations open_conversations(const DataConfig& config, const std::string& split);
/// The note about images of the part that its table names and that are not there; empty if none is missing. named: all
/// images that it names. Throws DataError if more than the share config.max_bad is missing.
std::string missing_note(const DataConfig& config, const std::string& split, const std::vector<std::string>& missing,
                         int64_t named);
/// Where the data is, for messages: its root, or "generated shapes".
std::string place_of(const DataConfig& config);
/// The section with the place of the part to evaluate on as its root: val_root, or root.
DataConfig evaluated(const DataConfig& config);
/// The part to evaluate on, as open_labelled: val_split of val_root, or of root. Undivided data is taken whole.
std::unique_ptr<data::Dataset> open_evaluated(const DataConfig& config);
/// A note if the section has both val_root and val_fraction: val_root counts. Else empty.
std::string division_note(const DataConfig& config);
/// "val of photos/": the part to evaluate on, for messages.
std::string evaluated_name(const DataConfig& config);

/// The training part (open_training) and the validation part. Both have the classes of the training part.
struct LabelledParts {
  std::unique_ptr<data::Dataset> train, val;
  std::vector<std::string> notes;  // what was passed over, what had to be assumed
};
/// Throws as open_labelled and data::match_classes; DataError if there is only one class.
LabelledParts open_parts(const DataConfig& config);
/// The training part, or the stratified share of it that config.subset gives. Throws as open_labelled.
std::unique_ptr<data::Dataset> open_training(const DataConfig& config);
/// An empty list of broken images, with the policy of the section.
data::BadFiles bad_files_policy(const DataConfig& config);
/// All images of a dataset once, in order, with the transform of evaluations. Broken images are left out.
/// dataset and bad_files outlive the loader.
std::unique_ptr<data::Loader> eval_loader(const DataConfig& config, const data::Dataset& dataset, int64_t batch_size,
                                          data::BadFiles& bad_files);
/// The same with a model's own preprocessing in place of the section's.
std::unique_ptr<data::Loader> eval_loader(const Preprocessing& preprocessing, const DataConfig& config,
                                          const data::Dataset& dataset, int64_t batch_size, data::BadFiles& bad_files);

/// Augmented training images. dataset and bad_files outlive the result.
data::ImageBatch training_images(const DataConfig& config, const data::Dataset& dataset, data::BadFiles& bad_files);
/// Batches in random order; the last images of an epoch are left out if they fill no batch.
data::LoaderOptions shuffled(const DataConfig& config, int64_t seed, int64_t batch_size, int64_t epochs,
                             const data::LoaderState& start);

/// Images in an epoch of shuffled() batches, of a dataset with `images` images.
int64_t epoch_length(const DataConfig& config, int64_t seed, int64_t images);

/// All images of a dataset in order, `epochs` times, with new random augmentation each time.
std::unique_ptr<data::Loader> augmented_loader(const DataConfig& config, int64_t seed, const data::Dataset& dataset,
                                               int64_t batch_size, int64_t epochs, data::BadFiles& bad_files);

/// Undoes the normalisation of an image [3, H, W]. Values outside of 8 bits are clipped.
data::Image to_image(const Tensor& normalized, const DataConfig& config);

/// What a run reads: "3,068 training images of 10 classes, 341 validation images, from /data/mine". 0: none.
std::string parts_text(const DataConfig& config, int64_t train, int64_t classes, int64_t val);

/// The first `count` training images of a run, augmented; all of them if there are fewer. Throws DataError or IoError.
Preview preview(const DataConfig& config, int64_t seed, int64_t count);

/// A labelled dataset: a training part and a validation part with the same classes.
class ImageData {
 public:
  /// Throws as open_parts.
  ImageData(const DataConfig& config, int64_t seed);

  /// Of the training part: the number of classes, their names, and the number of images.
  int64_t classes() const { return int64_t(class_names().size()); }
  const std::vector<std::string>& class_names() const { return parts_.train->classes(); }
  int64_t train_size() const { return parts_.train->size(); }
  /// Images of the validation part.
  int64_t val_size() const { return parts_.val->size(); }
  /// What was passed over, or had to be assumed, when the parts were opened.
  const std::vector<std::string>& notes() const { return parts_.notes; }
  /// "3,068 training images of 10 classes, 341 validation images, from /data/mine".
  std::string text() const;
  /// Training images of each class.
  std::vector<int64_t> class_counts() const;
  /// Images in an epoch of training: train_size(), or slightly less with repeated_aug.
  int64_t epoch_size() const;
  /// See training_images and shuffled.
  std::unique_ptr<data::Loader> train_loader(int64_t batch_size, int64_t passes, const data::LoaderState& start,
                                             const Shards& shards = {});
  /// All validation images once, in order. Broken ones are left out.
  std::unique_ptr<data::Loader> val_loader(int64_t batch_size);

 private:
  DataConfig config_;
  int64_t seed_;
  data::BadFiles bad_files_;
  LabelledParts parts_;
};

}  // namespace vitrail::recipes
