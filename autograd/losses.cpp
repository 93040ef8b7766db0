#include "vitrail/autograd/ops.h"
#include "vitrail/core/error.h"

namespace vitrail::ag {

Var cross_entropy(const Var& logits, const Tensor& labels, const CrossEntropyOptions& options) {
  core::CrossEntropyOut out = core::cross_entropy(logits.value(), labels, options);
  return record("cross_entropy", out.loss, {logits},
                [log_probs = out.log_probs, labels, options, type = logits.dtype()](const Tensor& dy, Sink& dx) {
                  dx.add(0, core::cross_entropy_backward(dy, log_probs, labels, options).to(type));
                });
}

Var soft_cross_entropy(const Var& logits, const Tensor& target) {
  core::CrossEntropyOut out = core::soft_cross_entropy(logits.value(), target);
  return record("soft_cross_entropy", out.loss, {logits},
                [log_probs = out.log_probs, target, type = logits.dtype()](const Tensor& dy, Sink& dx) {
                  dx.add(0, core::soft_cross_entropy_backward(dy, log_probs, target).to(type));
                });
}

Var bce_with_logits(const Var& logits, const Tensor& target) {
  return record("bce_with_logits", core::bce_with_logits(logits.value(), target), {logits},
                [x = logits.value(), target](const Tensor& dy, Sink& dx) {
                  dx.add(0, core::bce_with_logits_backward(dy, x, target).to(x.dtype()));
                });
}

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

Var mse(const Var& x, const Var& target) {
  const Var difference = x - target;
  return mean(difference * difference);
}

}  // namespace vitrail::ag
