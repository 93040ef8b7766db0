#include "tools/commands/feature_sets.h"

#include "vitrail/autograd/scope.h"

namespace vitrail::tools {

using namespace recipes;

FeatureSets::FeatureSets(const RecipeConfig& settings)
    : sections_(settings.sections()),
      precision_(settings.precision),
      seed_(settings.seed),
      bad_files_(bad_files_policy(sections_.data)),
      parts_(open_parts(sections_.data)) {}

FeatureSet FeatureSets::features(const FeatureOf& feature_of, data::Loader& loader, int64_t epochs,
                                 TerminalProgress& progress) {
  const ag::Autocast autocast(precision_);
  const Tick tick = progress.tick("features");
  return extract_features(feature_of, loader, [&](int64_t done, int64_t total) { tick(done, epochs * total); });
}

FeatureSet FeatureSets::train(const FeatureOf& feature_of, TerminalProgress& progress) {
  return features(feature_of, *eval_loader(sections_.data, *parts_.train, sections_.batch_size, bad_files_), 1,
                  progress);
}

FeatureSet FeatureSets::val(const FeatureOf& feature_of, TerminalProgress& progress) {
  return features(feature_of, *eval_loader(sections_.data, *parts_.val, sections_.batch_size, bad_files_), 1, progress);
}

std::vector<FeatureSet> FeatureSets::augmented(const FeatureOf& feature_of, int64_t times, TerminalProgress& progress) {
  const int64_t size = parts_.train->size();
  const FeatureSet all = features(
      feature_of, *augmented_loader(sections_.data, seed_, *parts_.train, sections_.batch_size, times, bad_files_),
      times, progress);
  std::vector<FeatureSet> sets;
  for (int64_t i = 0; i < times; ++i)
    sets.push_back({all.features.slice(0, i * size, (i + 1) * size), all.labels.slice(0, i * size, (i + 1) * size)});
  return sets;
}

}  // namespace vitrail::tools
