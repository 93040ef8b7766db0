#include "tools/commands/feature_sets.h"

#include "vitrail/autograd/scope.h"

#include <fmt/format.h>

#include <cstdio>

namespace vitrail::tools {

using namespace recipes;

FeatureSets::FeatureSets(const OpenModel& model)
    : model_(model), bad_files_(bad_files_policy(config())), parts_(open_parts(config())) {
  for (const std::string& note : parts_.notes) fmt::print(stderr, "{}\n", note);
}

FeatureSet FeatureSets::features(const FeatureOf& feature_of, data::Loader& loader, int64_t epochs,
                                 TerminalProgress& progress) {
  const ag::Autocast autocast(model_.eval.precision);
  const Tick tick = progress.tick("features");
  return extract_features(feature_of, loader, [&](int64_t done, int64_t total) { tick(done, epochs * total); });
}

FeatureSet FeatureSets::train(const FeatureOf& feature_of, TerminalProgress& progress) {
  return features(feature_of, *eval_loader(model_, *parts_.train, bad_files_), 1, progress);
}

FeatureSet FeatureSets::val(const FeatureOf& feature_of, TerminalProgress& progress) {
  return features(feature_of, *eval_loader(model_, *parts_.val, bad_files_), 1, progress);
}

std::vector<FeatureSet> FeatureSets::augmented(const FeatureOf& feature_of, int64_t times, TerminalProgress& progress) {
  const int64_t size = parts_.train->size();
  const FeatureSet all =
      features(feature_of,
               *augmented_loader(config(), model_.eval.seed, *parts_.train, model_.eval.batch_size, times, bad_files_),
               times, progress);
  std::vector<FeatureSet> sets;
  for (int64_t i = 0; i < times; ++i)
    sets.push_back({all.features.slice(0, i * size, (i + 1) * size), all.labels.slice(0, i * size, (i + 1) * size)});
  return sets;
}

}  // namespace vitrail::tools
