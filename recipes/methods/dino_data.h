// The data of DINO: images to train on, and labelled parts to evaluate on if the dataset has them.
#pragma once

#include "vitrail/recipes/methods/self_distillation.h"

#include <memory>
#include <string>
#include <vector>

namespace vitrail::recipes {

/// The views of a training image.
data::MultiCrop multi_crop(const SelfDistillationConfig& config);
/// The crops of a batch by size, the global ones first, as DinoStep takes them.
std::vector<Tensor> crops_of(const data::Batch& batch);

/// Opens the datasets of a DINO recipe and makes their loaders.
class DinoData final {
 public:
  /// Labels and a validation part are optional. config outlives it. Throws DataError or IoError as data::open_dataset.
  explicit DinoData(const SelfDistillationConfig& config);

  /// The number of training images, and of validation images, which needs labelled().
  int64_t train_size() const { return train_->size(); }
  /// What is read, for the start of a run.
  std::string text() const;
  int64_t val_size() const { return val_->size(); }
  /// True if both parts have labels of the same classes.
  bool labelled() const { return val_ != nullptr; }
  /// The reason if not labelled().
  const std::string& why_unlabelled() const { return why_unlabelled_; }
  /// What was passed over or had to be assumed when the parts were opened.
  const std::vector<std::string>& notes() const { return notes_; }
  /// The number of classes; 0 without labels.
  int64_t classes() const { return int64_t(train_->classes().size()); }

  /// Crops of shuffled images, `passes` times: see data::MultiCrop::views.
  std::unique_ptr<data::Loader> train_loader(const data::LoaderState& start, int64_t batch_size, int64_t passes = 1,
                                             const Shards& shards = {});
  /// All images of a part but broken ones, with the transform of evaluations. The validation part needs labelled().
  std::unique_ptr<data::Loader> plain_train_loader();
  std::unique_ptr<data::Loader> val_loader();

 private:
  const SelfDistillationConfig& config_;
  data::BadFiles bad_files_;
  std::unique_ptr<data::Dataset> train_, val_;
  std::string why_unlabelled_;
  std::vector<std::string> notes_;
};

}  // namespace vitrail::recipes
