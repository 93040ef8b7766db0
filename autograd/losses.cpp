#include "vitrail/autograd/ops.h"

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

Var mse(const Var& x, const Var& target) {
  const Var difference = x - target;
  return mean(difference * difference);
}

}  // namespace vitrail::ag
