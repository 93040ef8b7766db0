// The definition of the losses. See core/reference/elementwise.h.
#pragma once

#include "vitrail/core/reference/elementwise.h"
#include "vitrail/core/reference/reduce.h"

namespace vitrail::reference {

/// Mean over rows of -sum(target log_softmax(logits)); logits, target [N, K].
inline double soft_cross_entropy(const Tensor& logits, const Tensor& target) {
  const Tensor log_probs = reference::log_softmax(logits);
  double total = 0;
  for (int64_t i = 0; i < logits.numel(); ++i) total -= target.data<double>()[i] * log_probs.data<double>()[i];
  return total / double(logits.size(0));
}

/// The same with target 1 - smoothing at the label, and smoothing / K more everywhere; rows labelled `ignored` left
/// out.
inline double cross_entropy(const Tensor& logits, const Tensor& labels, double smoothing, int64_t ignored = -100) {
  const int64_t classes = logits.size(1);
  const Tensor log_probs = reference::log_softmax(logits);
  double total = 0, rows = 0;
  for (int64_t i = 0; i < logits.size(0); ++i) {
    const int64_t label = labels.data<int64_t>()[i];
    if (label == ignored) continue;
    ++rows;
    for (int64_t k = 0; k < classes; ++k) {
      const double target = (k == label ? 1 - smoothing : 0) + smoothing / double(classes);
      total -= target * log_probs.data<double>()[i * classes + k];
    }
  }
  return total / rows;
}

/// Mean of -(t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))).
inline double bce_with_logits(const Tensor& logits, const Tensor& target) {
  double total = 0;
  for (int64_t i = 0; i < logits.numel(); ++i) {
    const double x = logits.data<double>()[i], t = target.data<double>()[i];
    total += t * softplus(-x) + (1 - t) * softplus(x);
  }
  return total / double(logits.numel());
}

}  // namespace vitrail::reference
