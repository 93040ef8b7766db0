#include "vitrail/nn/losses/distillation.h"

#include "vitrail/core/error.h"

namespace vitrail::nn {

Var soft_distillation(const Var& logits, const Tensor& teacher, double tau, KlNorm norm) {
  check<ShapeError>(logits.rank() == 2 && logits.shape() == teacher.shape(), "soft_distillation",
                    "logits are {}, the teacher's are {}; both must be [B, K]", logits.shape(), teacher.shape());
  check<ConfigError>(tau > 0, "soft_distillation", "tau is {}, it must be greater than 0", tau);
  const DType dtype = logits.dtype() == DType::f64 ? DType::f64 : DType::f32;
  const Tensor log_p = core::log_softmax(core::affine(teacher.to(dtype), 1 / tau));
  const Var log_q = log_softmax(cast(logits, dtype) * (1 / tau));
  const int64_t count = norm == KlNorm::batch ? logits.size(0) : logits.size(0) * logits.size(1);
  return sum(Var(core::exp(log_p)) * (Var(log_p) - log_q)) * (tau * tau / double(count));
}

Var hard_distillation(const Var& logits, const Tensor& teacher) {
  check<ShapeError>(logits.rank() == 2 && logits.shape() == teacher.shape(), "hard_distillation",
                    "logits are {}, the teacher's are {}; both must be [B, K]", logits.shape(), teacher.shape());
  return cross_entropy(logits, core::argmax(teacher, 1));
}

}  // namespace vitrail::nn
