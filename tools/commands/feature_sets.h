// Features of the labelled training and validation images, for commands that evaluate features.
#pragma once

#include "tools/commands/terminal_progress.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/eval/features.h"
#include "vitrail/recipes/models/open_model.h"

namespace vitrail::tools {

/// The training and validation images that a model has settings for, in their precision. The constructor prints what it
/// had to assume on standard error. Throws as open_parts.
class FeatureSets final {
 public:
  /// model outlives this.
  explicit FeatureSets(const recipes::OpenModel& model);

  int64_t classes() const { return int64_t(parts_.train->classes().size()); }
  int64_t train_size() const { return parts_.train->size(); }
  int64_t val_size() const { return parts_.val->size(); }
  const recipes::DataConfig& config() const { return model_.eval.data; }
  /// Features of the training images, in their order, without broken ones.
  recipes::FeatureSet train(const recipes::FeatureOf& feature_of, TerminalProgress& progress);
  /// Features of the validation images, in their order, without broken ones.
  recipes::FeatureSet val(const recipes::FeatureOf& feature_of, TerminalProgress& progress);
  /// Features of the training images, augmented `times` times as for supervised training. One set per time.
  std::vector<recipes::FeatureSet> augmented(const recipes::FeatureOf& feature_of, int64_t times,
                                             TerminalProgress& progress);
  const data::BadFiles& bad_files() const { return bad_files_; }

 private:
  /// `epochs`: passes that the loader makes over its images.
  recipes::FeatureSet features(const recipes::FeatureOf& feature_of, data::Loader& loader, int64_t epochs,
                               TerminalProgress& progress);

  const recipes::OpenModel& model_;
  data::BadFiles bad_files_;
  recipes::LabelledParts parts_;
};

}  // namespace vitrail::tools
