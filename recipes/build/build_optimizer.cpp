#include "vitrail/recipes/build/build_optimizer.h"

#include "vitrail/core/error.h"
#include "vitrail/nn/module.h"
#include "vitrail/optim/adamw.h"
#include "vitrail/optim/lamb.h"
#include "vitrail/optim/schedule.h"

#include <cmath>

namespace vitrail::recipes {

void OptimConfig::describe(Fields& f) {
  f("name", name, "optimizer", one_of({"adamw", "sgd", "lamb", "lars"}));
  f("lr", lr, "peak learning rate", positive());
  f("lr_per_images", lr_per_images, "if given, the rate is lr * batch_size / lr_per_images", at_least(1));
  f("weight_decay", weight_decay, "of weights; biases, norms, tokens and positions are not decayed", at_least(0));
  f("betas", betas, "adamw, lamb: decay of the two moments", between(0, 1).of(2));
  f("eps", eps, "adamw, lamb: added to the root of the second moment", positive());
  f("momentum", momentum, "sgd, lars", between(0, 1));
  f("nesterov", nesterov, "sgd: Nesterov's momentum");
  f("layer_decay", layer_decay, "learning rate of each layer relative to the one above it", between(0, 1));
  f("clip_grad", clip_grad, "largest norm of all gradients together; 0: no clipping", at_least(0));
}

double OptimConfig::peak_lr(int64_t batch_size) const {
  return lr_per_images ? lr * double(batch_size) / double(*lr_per_images) : lr;
}

void ScheduleConfig::describe(Fields& f) {
  f("name", name, "learning rate after the warm-up", one_of({"cosine", "linear", "step", "constant"}));
  f("warmup_epochs", warmup_epochs, "linear rise from warmup_lr", at_least(0));
  f("warmup_lr", warmup_lr, "learning rate where the rise begins", at_least(0));
  f("warmup_prefix", warmup_prefix, "cosine: begins after the warm-up; false: with it, so that it is under way then");
  f("by", by, "the rate changes every step, or every epoch", one_of({"step", "epoch"}));
  f("min_lr", min_lr, "cosine, linear: learning rate at the end", at_least(0));
  f("step_epochs", step_epochs, "step: epochs between two drops", positive());
  f("gamma", gamma, "step: factor of a drop", positive());
}

std::unique_ptr<optim::Optimizer> build_optimizer(const nn::ModuleBase& model, const OptimConfig& config,
                                                  const optim::DecayRule& rule) {
  const auto parameters = model.parameters();
  const auto groups = config.layer_decay < 1 ? optim::layer_decay_groups(parameters, config.layer_decay, rule)
                                             : optim::decay_groups(parameters, rule);
  return build_optimizer(groups, config, optim::LarsRule::timm);
}

std::unique_ptr<optim::Optimizer> build_optimizer(const std::vector<optim::ParamGroup>& groups,
                                                  const OptimConfig& config, optim::LarsRule lars_rule) {
  const double beta1 = config.betas[0], beta2 = config.betas[1];
  if (config.name == "adamw")
    return std::make_unique<optim::AdamW>(groups,
                                          optim::AdamWOptions{.beta1 = beta1, .beta2 = beta2, .eps = config.eps});
  if (config.name == "lamb")
    return std::make_unique<optim::Lamb>(groups, optim::LambOptions{.beta1 = beta1, .beta2 = beta2, .eps = config.eps});
  if (config.name == "lars")
    return std::make_unique<optim::Lars>(groups, optim::LarsOptions{.momentum = config.momentum, .rule = lars_rule});
  check<ConfigError>(config.name == "sgd", "optim.name", "unknown optimizer {}", config.name);
  return std::make_unique<optim::Sgd>(groups,
                                      optim::SgdOptions{.momentum = config.momentum, .nesterov = config.nesterov});
}

std::function<double(double)> build_schedule(const ScheduleConfig& config, double peak_lr, int64_t epochs,
                                             int64_t steps_per_epoch) {
  check<ConfigError>(config.warmup_epochs < double(epochs), "schedule.warmup_epochs",
                     "{} leaves nothing of train.epochs {}", config.warmup_epochs, epochs);
  if (config.by == "epoch" && steps_per_epoch > 1)
    return [by_epoch = build_schedule(config, peak_lr, epochs, 1), n = double(steps_per_epoch)](double step) {
      return by_epoch(std::floor(step / n));
    };
  const double steps = double(epochs * steps_per_epoch);
  // By steps the warm-up's last one has the peak rate; by epochs the first one after it, as in timm.
  const optim::Warmup warmup{.steps = config.warmup_epochs * double(steps_per_epoch),
                             .from = config.warmup_lr,
                             .ends = config.by == "epoch" ? optim::Ends::first : optim::Ends::last};
  if (config.name == "cosine" && !config.warmup_prefix)
    return optim::CyclicCosineSchedule{.base = peak_lr, .min = config.min_lr, .cycle_steps = steps, .warmup = warmup};
  if (config.name == "cosine")
    return optim::CosineSchedule{.base = peak_lr, .final = config.min_lr, .steps = steps, .warmup = warmup};
  if (config.name == "linear")
    return optim::PolynomialSchedule{
        .base = peak_lr, .final = config.min_lr, .steps = steps, .decay_steps = steps - warmup.steps, .warmup = warmup};
  if (config.name == "step")
    return optim::StepSchedule{.base = peak_lr,
                               .every = config.step_epochs * double(steps_per_epoch),
                               .gamma = config.gamma,
                               .warmup = warmup};
  check<ConfigError>(config.name == "constant", "schedule.name", "unknown schedule {}", config.name);
  return optim::PolynomialSchedule{.base = peak_lr, .steps = steps, .warmup = warmup};
}

}  // namespace vitrail::recipes
