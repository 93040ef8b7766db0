// Distillation: losses against a teacher's logits.
#pragma once

#include "vitrail/autograd/ops.h"

namespace vitrail::nn {

using ag::KlNorm;
using ag::Var;

/// tau^2 KL(p || q) with p = softmax(teacher / tau) and q = softmax(logits / tau). A scalar, f32 (f64 for f64 logits).
/// Shape:  logits, teacher [B, K]. Throws ShapeError if they differ, ConfigError unless tau is greater than 0.
/// Source: Hinton et al. 2015 (arXiv:1503.02531); Touvron et al. 2021 (arXiv:2012.12877), eq. 2.
Var soft_distillation(const Var& logits, const Tensor& teacher, double tau, KlNorm norm = KlNorm::batch);
/// Cross-entropy with the teacher's decisions, argmax of teacher. A scalar.
/// Shape:  logits, teacher [B, K]. Throws ShapeError if they differ.
/// Source: Touvron et al. 2021 (arXiv:2012.12877), eq. 3.
Var hard_distillation(const Var& logits, const Tensor& teacher);

}  // namespace vitrail::nn
