// Stochastic gradient descent with momentum, and LARS, which adapts the step of each layer.
#pragma once

#include "vitrail/optim/optimizer.h"

namespace vitrail::optim {

struct SgdOptions {
  double momentum = 0;
  double dampening = 0;
  bool nesterov = false;
};

/// g += wd p; b = momentum b + (1 - dampening) g; p -= lr b, or lr (g + momentum b) with nesterov. The first b is g.
class Sgd final : public Optimizer {
 public:
  /// Throws ConfigError for nesterov without momentum or with dampening.
  explicit Sgd(const std::vector<ParamGroup>& groups, const SgdOptions& options = {});

 private:
  void update(const UpdateArgs& u) override;
  SgdOptions options_;
};

/// The parameters that LARS adapts, and the ratio.
enum class LarsRule {
  timm,  // those with weight decay, by trust_coeff |p| / (|g| + wd |p| + eps)
  dino,  // those that are not vectors, by trust_coeff |p| / |g + wd p|; vectors are not decayed either
};

struct LarsOptions {
  double momentum = 0.9;
  double trust_coeff = 0.001;
  double eps = 1e-8;  // timm only
  LarsRule rule = LarsRule::timm;
};

/// g = ratio (g + wd p); b = momentum b + g; p -= lr b. Each parameter has its ratio, which is 1 if a norm is 0.
/// Source: You et al. 2017 (arXiv:1708.03888).
class Lars final : public Optimizer {
 public:
  explicit Lars(const std::vector<ParamGroup>& groups, const LarsOptions& options = {});

 private:
  void update(const UpdateArgs& u) override;
  LarsOptions options_;
};

}  // namespace vitrail::optim
