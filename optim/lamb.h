// LAMB: Adam with a step scaled by the norm of each layer's weights. For very large batches.
#pragma once

#include "vitrail/optim/optimizer.h"

namespace vitrail::optim {

struct LambOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-6;
  double max_grad_norm = 1;  // gradients are divided by max(1, global norm / max_grad_norm); 0: no clipping
};

/// u = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + wd p; p -= lr ratio u, where ratio is |p| / |u| for
/// parameters with weight decay, 1 for others and where a norm is 0.
/// Source: You et al. 2020 (arXiv:1904.00962), as in timm.
class Lamb final : public Optimizer {
 public:
  explicit Lamb(const std::vector<ParamGroup>& groups, const LambOptions& options = {});

 private:
  void begin_step(const std::vector<Slot>& slots) override;
  void update(const UpdateArgs& u) override;

  LambOptions options_;
  double grad_scale_ = 1;
};

}  // namespace vitrail::optim
