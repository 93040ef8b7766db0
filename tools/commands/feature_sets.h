// Features of the labelled parts of a trained model's data, for the commands that evaluate them.
#pragma once

#include "tools/commands/arguments.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/eval/features.h"

namespace vitrail::tools {

/// The training and the validation part. Throws as open_parts.
class FeatureSets final {
 public:
  explicit FeatureSets(const recipes::RecipeConfig& settings);

  int64_t classes() const { return int64_t(parts_.train->classes().size()); }
  int64_t train_size() const { return parts_.train->size(); }
  const recipes::DataConfig& config() const { return sections_.data; }
  /// Of the part's images in order, in the precision of the recipe.
  recipes::FeatureSet train(const recipes::FeatureOf& feature_of, TerminalProgress& progress);
  recipes::FeatureSet val(const recipes::FeatureOf& feature_of, TerminalProgress& progress);
  /// Of the training images augmented as for supervised training, that many times.
  std::vector<recipes::FeatureSet> augmented(const recipes::FeatureOf& feature_of, int64_t times,
                                             TerminalProgress& progress);
  /// Says which images were skipped.
  void report_bad_files(TerminalProgress& progress) const;

 private:
  /// Of `epochs` passes over the loader's images.
  recipes::FeatureSet features(const recipes::FeatureOf& feature_of, data::Loader& loader, int64_t epochs,
                               TerminalProgress& progress);

  recipes::RecipeConfig::Sections sections_;
  DType precision_;
  int64_t seed_;
  data::BadFiles bad_files_;
  recipes::LabelledParts parts_;
};

}  // namespace vitrail::tools
