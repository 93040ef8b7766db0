// Differentiable losses.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/losses.h"

namespace vitrail::ag {

using core::CrossEntropyOptions;

// All return a scalar, f32 for f32 and bf16 (f64 for f64) unless a line says otherwise.
Var cross_entropy(const Var& logits, const Tensor& labels, const CrossEntropyOptions& options = {});
Var soft_cross_entropy(const Var& logits, const Tensor& target);
Var bce_with_logits(const Var& logits, const Tensor& target);
/// Mean of -log_probs[i, labels[i]]; log_probs [N, K], labels i64 [N]. Rows labelled ignore_index do not count.
Var nll_loss(const Var& log_probs, const Tensor& labels, int64_t ignore_index = -100);

/// A sum over classes is divided by B, or by B K as PyTorch's default and DeiT's code do.
enum class KlNorm { batch, elements };
/// KL(target || q): the sum of target (log target - log_q), with 0 log 0 = 0. log_q and target [B, ...]; target holds
/// probabilities.
Var kl_div(const Var& log_q, const Tensor& target, KlNorm norm = KlNorm::elements);

// Means over all elements, in the type of x.
/// (x - target)^2.
Var mse(const Var& x, const Var& target);
/// |x - target|.
Var l1_loss(const Var& x, const Var& target);
/// With d = |x - target|: d^2 / (2 beta) where d < beta, else d - beta / 2. Girshick 2015 (arXiv:1504.08083), eq. 3.
Var smooth_l1_loss(const Var& x, const Var& target, double beta = 1);

}  // namespace vitrail::ag
