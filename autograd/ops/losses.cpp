#include "vitrail/autograd/ops/losses.h"

#include "vitrail/autograd/ops/activation.h"
#include "vitrail/autograd/ops/elementwise.h"
#include "vitrail/autograd/ops/indexing.h"
#include "vitrail/autograd/ops/reduce.h"
#include "vitrail/core/error.h"

namespace vitrail::ag {
namespace {

DType loss_type(const Var& x) { return x.dtype() == DType::f64 ? DType::f64 : DType::f32; }

}  // namespace

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

Var nll_loss(const Var& log_probs, const Tensor& labels, int64_t ignore_index) {
  const Tensor ignored = core::eq(labels, double(ignore_index));
  Tensor classes = labels.clone();
  double counted = 0;
  for (int64_t& label : classes.span<int64_t>()) {
    counted += label != ignore_index;
    if (label == ignore_index) label = 0;
  }
  const Var chosen = masked_fill(gather_last(cast(log_probs, loss_type(log_probs)), classes), ignored, 0);
  return sum(chosen) * (-1 / counted);
}

Var kl_div(const Var& log_q, const Tensor& target, KlNorm norm) {
  check<ShapeError>(log_q.rank() > 0 && log_q.shape() == target.shape(), "kl_div", "log_q is {}, target is {}",
                    log_q.shape(), target.shape());
  const DType dtype = loss_type(log_q);
  const Tensor p = target.to(dtype);
  const Tensor entropy = core::where(core::gt(p, 0), core::mul(p, core::log(p)), scalar(0, dtype));
  const int64_t count = norm == KlNorm::batch ? log_q.size(0) : log_q.value().numel();
  return sum(Var(entropy) - cast(log_q, dtype) * Var(p)) / double(count);
}

Var mse(const Var& x, const Var& target) {
  const Var difference = x - target;
  return mean(difference * difference);
}

Var l1_loss(const Var& x, const Var& target) { return mean(abs(x - target)); }

Var smooth_l1_loss(const Var& x, const Var& target, double beta) {
  check<ConfigError>(beta > 0, "smooth_l1_loss", "beta is {}, it must be greater than 0; l1_loss is the limit", beta);
  const Var d = abs(x - target);
  return mean(where(d < beta, square(d) * (0.5 / beta), d - 0.5 * beta));
}

}  // namespace vitrail::ag
