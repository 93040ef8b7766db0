#include "vitrail/nn/norm.h"

namespace vitrail::nn {

BatchNorm2d::BatchNorm2d(const Scope& scope, int64_t channels, double weight_init)
    : Module(scope),
      weight(sub("weight"), {channels}, init::constant(weight_init)),
      bias(sub("bias"), {channels}, init::zeros()),
      running_mean(sub("running_mean"), zeros({channels}, dtype())),
      running_var(sub("running_var"), ones({channels}, dtype())) {}

Var BatchNorm2d::forward(const Var& x) {
  if (!is_training()) return batch_norm_eval(x, weight, bias, running_mean.value(), running_var.value(), eps);
  return batch_norm_train(x, weight, bias, eps, [&](const Tensor& mean, const Tensor& var) {
    const double n = double(x.value().numel()) / double(std::max<int64_t>(x.size(1), 1));
    const double unbiased = n > 1 ? n / (n - 1) : 1;
    core::lerp_(running_mean.value(), mean, momentum);
    core::lerp_(running_var.value(), core::affine(var, unbiased), momentum);
  });
}

std::vector<Tensor*> running_averages(ModuleBase& model) {
  std::vector<Tensor*> averages;
  for (BatchNorm2d* norm : model.modules<BatchNorm2d>())
    if (norm->is_training()) averages.insert(averages.end(), {&norm->running_mean.value(), &norm->running_var.value()});
  return averages;
}

}  // namespace vitrail::nn
