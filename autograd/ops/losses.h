// Differentiable losses.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/losses.h"

namespace vitrail::ag {

using core::CrossEntropyOptions;

/// Scalars, f32 (f64 for f64 logits).
Var cross_entropy(const Var& logits, const Tensor& labels, const CrossEntropyOptions& options = {});
Var soft_cross_entropy(const Var& logits, const Tensor& target);
Var bce_with_logits(const Var& logits, const Tensor& target);
/// tau^2 KL(p || q) of p = softmax(teacher / tau) and q = softmax(logits / tau), logits and teacher [B, K]: the sum
/// over classes, divided by B or, as DeiT's code does, by B K. Source: Hinton et al. 2015 (arXiv:1503.02531); DeiT,
/// Touvron et al. 2021 (arXiv:2012.12877), eq. 2.
enum class KlNorm { batch, elements };
Var soft_distillation(const Var& logits, const Tensor& teacher, double tau, KlNorm norm = KlNorm::batch);
/// Cross-entropy with the teacher's decisions, argmax of teacher [B, K]. DeiT, eq. 3.
Var hard_distillation(const Var& logits, const Tensor& teacher);
/// Mean of (x - target)^2.
Var mse(const Var& x, const Var& target);

}  // namespace vitrail::ag
