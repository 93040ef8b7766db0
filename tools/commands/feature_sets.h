// Features of the labelled parts of a trained model's data, for the commands that evaluate them.
#pragma once

#include "recipes/build_data.h"
#include "recipes/features.h"
#include "tools/commands/arguments.h"

#include <memory>

namespace vitrail::tools {

/// The training and the validation part. Throws DataError if they have no labels, or different classes.
class LabelledParts final {
 public:
  explicit LabelledParts(const recipes::RecipeConfig& settings);

  int64_t classes() const { return int64_t(train_->classes().size()); }
  const recipes::DataConfig& config() const { return sections_.data; }
  /// Of the part's pictures in order, in the precision of the recipe.
  recipes::FeatureSet train(const recipes::FeatureOf& feature_of, TerminalProgress& progress);
  recipes::FeatureSet val(const recipes::FeatureOf& feature_of, TerminalProgress& progress);
  /// Of the training pictures augmented as for supervised training, that many times.
  std::vector<recipes::FeatureSet> augmented(const recipes::FeatureOf& feature_of, int64_t times,
                                             TerminalProgress& progress);
  /// Says which pictures were skipped.
  void report_bad_files(TerminalProgress& progress) const;

 private:
  recipes::FeatureSet features(const recipes::FeatureOf& feature_of, data::Loader& loader, TerminalProgress& progress);

  recipes::RecipeConfig::Sections sections_;
  DType precision_;
  int64_t seed_;
  data::BadFiles bad_files_;
  std::unique_ptr<data::Dataset> train_, val_;
};

}  // namespace vitrail::tools
