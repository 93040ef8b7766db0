// Losses: one pass forward, one pass backward. Results are f32 for bf16 logits.
#pragma once

#include "vitrail/core/tensor.h"

namespace vitrail::core {

/// Mean over rows of -sum(target * log_softmax(logits)); logits and target [N, K] -> scalar. cross_entropy takes labels
/// i64 [N] and spreads `smoothing` over all classes. Rows labelled ignore_index do not count.
struct CrossEntropyOptions {
  double smoothing = 0;
  int64_t ignore_index = -100;
};
struct CrossEntropyOut {
  Tensor loss, log_probs;  // scalar, [N, K]
};
CrossEntropyOut cross_entropy(const Tensor& logits, const Tensor& labels, const CrossEntropyOptions& options);
Tensor cross_entropy_backward(const Tensor& dloss, const Tensor& log_probs, const Tensor& labels,
                              const CrossEntropyOptions& options);
CrossEntropyOut soft_cross_entropy(const Tensor& logits, const Tensor& target);
Tensor soft_cross_entropy_backward(const Tensor& dloss, const Tensor& log_probs, const Tensor& target);
/// Mean over all elements of the binary cross entropy of sigmoid(logits) and target, as timm's BinaryCrossEntropy.
Tensor bce_with_logits(const Tensor& logits, const Tensor& target);
Tensor bce_with_logits_backward(const Tensor& dloss, const Tensor& logits, const Tensor& target);

}  // namespace vitrail::core
