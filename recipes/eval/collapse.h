// Collapse: signs that a self-supervised network has stopped telling images apart, and what to change then. The loss
// does not show it.
#pragma once

#include "vitrail/core/tensor.h"
#include "vitrail/recipes/run/stats.h"

#include <string>

namespace vitrail::recipes {

struct CollapseSigns {
  double entropy = 0;   // of the mean of the teacher's outputs, in nats: 0 if one prototype takes all images
  double kl = 0;        // mean divergence of an output from that mean: 0 if all images look the same
  double rank = 0;      // effective rank of the features: how many directions they spread over
  double feat_std = 0;  // deviation of features of length 1, 1 if they are spread over the sphere, 0 if all are one

  /// The four numbers by name, for the log.
  Stats stats() const;
};

/// probs [N, K]: the teacher's outputs; features [N, D].
/// The effective rank is the participation ratio (sum of variances)^2 / sum of their squares, at most min(N - 1, D).
CollapseSigns collapse_signs(const Tensor& probs, const Tensor& features);

/// Looks at the signs of every step, smoothed over some fifty, and warns once a kind.
class CollapseWatch final {
 public:
  CollapseWatch(int64_t out_dim, int64_t steps_before_warning) : out_dim_(out_dim), patience_(steps_before_warning) {}

  /// A warning that says what is wrong and what to change; empty if all is well or it was said before.
  std::string add(const CollapseSigns& signs);

 private:
  int64_t out_dim_, patience_;
  int64_t steps_ = 0;
  CollapseSigns smooth_;
  bool warned_of_one_ = false, warned_of_uniform_ = false, warned_of_features_ = false;
};

}  // namespace vitrail::recipes
