#include "tools/commands/feature_sets.h"

#include "autograd/scope.h"
#include "core/error.h"

namespace vitrail::tools {

using namespace recipes;

LabelledParts::LabelledParts(const RecipeConfig& settings)
    : sections_(settings.sections()),
      precision_(parse_dtype(settings.precision)),
      seed_(settings.seed),
      bad_files_(bad_files_policy(sections_.data)),
      train_(open_labelled(sections_.data, sections_.data.train_split)),
      val_(open_labelled(sections_.data, sections_.data.val_split)) {
  check<DataError>(train_->classes() == val_->classes(), "data", "the parts '{}' and '{}' of {} have different classes",
                   sections_.data.train_split, sections_.data.val_split, sections_.data.root);
}

FeatureSet LabelledParts::features(const FeatureOf& feature_of, data::Loader& loader, TerminalProgress& progress) {
  const ag::Autocast autocast(precision_);
  return extract_features(feature_of, loader, progress.tick("features"));
}

FeatureSet LabelledParts::train(const FeatureOf& feature_of, TerminalProgress& progress) {
  return features(feature_of, *eval_loader(sections_.data, *train_, sections_.batch_size, bad_files_), progress);
}

FeatureSet LabelledParts::val(const FeatureOf& feature_of, TerminalProgress& progress) {
  return features(feature_of, *eval_loader(sections_.data, *val_, sections_.batch_size, bad_files_), progress);
}

std::vector<FeatureSet> LabelledParts::augmented(const FeatureOf& feature_of, int64_t times,
                                                 TerminalProgress& progress) {
  const int64_t size = train_->size();
  const FeatureSet all = features(
      feature_of, *augmented_loader(sections_.data, seed_, *train_, sections_.batch_size, times, bad_files_), progress);
  std::vector<FeatureSet> sets;
  for (int64_t i = 0; i < times; ++i)
    sets.push_back({all.features.slice(0, i * size, (i + 1) * size), all.labels.slice(0, i * size, (i + 1) * size)});
  return sets;
}

void LabelledParts::report_bad_files(TerminalProgress& progress) const {
  for (const data::BadFile& file : bad_files_.list()) progress.message("skipped " + file.name + ": " + file.reason);
}

}  // namespace vitrail::tools
