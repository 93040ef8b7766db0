// Linear evaluation: a linear classifier on frozen features, trained with several learning rates at once.
#pragma once

#include "vitrail/recipes/eval/features.h"

#include <vector>

namespace vitrail::recipes {

/// Defaults as published for DINO, but for the learning rates: it names one, 0.001 for 256 images a step.
struct LinearProbeOptions {
  std::vector<double> lr{0.001, 0.003, 0.01, 0.03, 0.1, 0.3};  // each for 256 images a step
  int64_t epochs = 100;
  int64_t batch_size = 1024;
  double momentum = 0.9;
  uint64_t seed = 0;
};

struct LinearProbeResult {
  double lr = 0;
  double top1 = 0, top5 = 0;  // fractions of the test set
};

/// Softmax regression by SGD without weight decay, the rate falling to 0 as half a cosine; weights start as N(0, 0.01).
/// train: one set, or one for each of several augmentations of the same images, which take turns epoch by epoch.
/// Returns one result a learning rate, in their order. The best of them is chosen on the test set, as is customary.
/// Throws: ShapeError if sets do not fit, or a label is outside [0, classes).
/// Source: Caron et al. 2021 (arXiv:2104.14294), appendix F.3; eval_linear.py of DINO.
std::vector<LinearProbeResult> linear_probe(const std::vector<FeatureSet>& train, const FeatureSet& test,
                                            int64_t classes, const LinearProbeOptions& options, const Tick& tick);

/// The result with the highest top-1.
LinearProbeResult best_of(const std::vector<LinearProbeResult>& results);

}  // namespace vitrail::recipes
