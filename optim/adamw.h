// Adam with decoupled weight decay.
#pragma once

#include "vitrail/optim/optimizer.h"

namespace vitrail::optim {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  bool amsgrad = false;   // divide by the largest second moment so far
  bool decoupled = true;  // false: Adam, which adds the decay to the gradient
};

/// p = p (1 - lr wd) - lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps), where t counts the updates of the
/// parameter. Source: Loshchilov and Hutter 2019 (arXiv:1711.05101), Kingma and Ba 2015 (arXiv:1412.6980), Reddi et al.
/// 2018.
class AdamW final : public Optimizer {
 public:
  explicit AdamW(const std::vector<ParamGroup>& groups, const AdamWOptions& options = {});

 private:
  void update(const UpdateArgs& u) override;
  AdamWOptions options_;
};

}  // namespace vitrail::optim
