#include "vitrail/recipes/build/build_optimizer.h"

#include "vitrail/core/error.h"
#include "vitrail/nn/module.h"
#include "vitrail/optim/adamw.h"
#include "vitrail/optim/lamb.h"
#include "vitrail/optim/schedule.h"

#include <cmath>

namespace vitrail::recipes {
namespace {

constexpr Named<OptimizerKind> kOptimizers[] = {{"adamw", OptimizerKind::adamw},
                                                {"sgd", OptimizerKind::sgd},
                                                {"lamb", OptimizerKind::lamb},
                                                {"lars", OptimizerKind::lars}};
constexpr Named<ScheduleKind> kSchedules[] = {{"cosine", ScheduleKind::cosine},
                                              {"linear", ScheduleKind::linear},
                                              {"step", ScheduleKind::step},
                                              {"constant", ScheduleKind::constant}};
constexpr Named<ScheduleBy> kScheduleBy[] = {{"step", ScheduleBy::step}, {"epoch", ScheduleBy::epoch}};

}  // namespace

void OptimConfig::describe(Fields& f) {
  f("name", name, "optimizer", kOptimizers);
  f("lr", lr, "peak learning rate", positive());
  f("lr_per_images", lr_per_images, "if given, the rate is lr * batch_size / lr_per_images", at_least(1));
  f("weight_decay", weight_decay, "of weights; biases, norms, tokens and positions are not decayed", at_least(0));
  f("betas", betas, "adamw, lamb: decay rates of the two moments", between(0, 1).of(2));
  f("eps", eps, "adamw, lamb: added to the root of the second moment", positive());
  f("momentum", momentum, "sgd, lars", between(0, 1));
  f("nesterov", nesterov, "sgd: Nesterov momentum");
  f("layer_decay", layer_decay, "learning rate of each layer relative to the one above it", between(0, 1));
  f("clip_grad", clip_grad, "clips the gradient to this norm; 0: no clipping", at_least(0));
}

double OptimConfig::peak_lr(int64_t batch_size) const {
  return lr_per_images ? lr * double(batch_size) / double(*lr_per_images) : lr;
}

void ScheduleConfig::describe(Fields& f) {
  f("name", name, "learning rate after the warm-up", kSchedules);
  f("warmup_epochs", warmup_epochs, "epochs of a linear rise from warmup_lr", at_least(0));
  f("warmup_lr", warmup_lr, "learning rate at the start of the warm-up", at_least(0));
  f("warmup_prefix", warmup_prefix, "cosine: true: it begins after the warm-up; false: at step 0, under the warm-up");
  f("by", by, "step: the rate changes every step; epoch: every epoch", kScheduleBy);
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
  switch (config.name) {
    case OptimizerKind::adamw:
      return std::make_unique<optim::AdamW>(groups,
                                            optim::AdamWOptions{.beta1 = beta1, .beta2 = beta2, .eps = config.eps});
    case OptimizerKind::lamb:
      return std::make_unique<optim::Lamb>(groups,
                                           optim::LambOptions{.beta1 = beta1, .beta2 = beta2, .eps = config.eps});
    case OptimizerKind::lars:
      return std::make_unique<optim::Lars>(groups, optim::LarsOptions{.momentum = config.momentum, .rule = lars_rule});
    case OptimizerKind::sgd:
      break;
  }
  return std::make_unique<optim::Sgd>(groups,
                                      optim::SgdOptions{.momentum = config.momentum, .nesterov = config.nesterov});
}

void check_warmup(double warmup_epochs, int64_t epochs) {
  check<ConfigError>(warmup_epochs < double(epochs), "schedule.warmup_epochs",
                     "{} leaves nothing of train.epochs {}; a tenth of the run is usual: schedule.warmup_epochs={}",
                     warmup_epochs, epochs, double(epochs) / 10);
}

std::function<double(double)> build_schedule(const ScheduleConfig& config, double peak_lr, int64_t epochs,
                                             int64_t steps_per_epoch) {
  check_warmup(config.warmup_epochs, epochs);
  if (config.by == ScheduleBy::epoch && steps_per_epoch > 1)
    return [by_epoch = build_schedule(config, peak_lr, epochs, 1), n = double(steps_per_epoch)](double step) {
      return by_epoch(std::floor(step / n));
    };
  const double steps = double(epochs * steps_per_epoch);
  // A schedule by step reaches the peak rate in the last step of the warm-up. A schedule by epoch reaches it in the
  // first epoch after the warm-up, as in timm.
  const optim::Warmup warmup{.steps = config.warmup_epochs * double(steps_per_epoch),
                             .from = config.warmup_lr,
                             .ends = config.by == ScheduleBy::epoch ? optim::Ends::first : optim::Ends::last};
  switch (config.name) {
    case ScheduleKind::cosine:
      if (!config.warmup_prefix)
        return optim::CyclicCosineSchedule{
            .base = peak_lr, .min = config.min_lr, .cycle_steps = steps, .warmup = warmup};
      return optim::CosineSchedule{.base = peak_lr, .final = config.min_lr, .steps = steps, .warmup = warmup};
    case ScheduleKind::linear:
      return optim::PolynomialSchedule{.base = peak_lr,
                                       .final = config.min_lr,
                                       .steps = steps,
                                       .decay_steps = steps - warmup.steps,
                                       .warmup = warmup};
    case ScheduleKind::step:
      return optim::StepSchedule{.base = peak_lr,
                                 .every = config.step_epochs * double(steps_per_epoch),
                                 .gamma = config.gamma,
                                 .warmup = warmup};
    case ScheduleKind::constant:
      break;
  }
  return optim::PolynomialSchedule{.base = peak_lr, .steps = steps, .warmup = warmup};
}

}  // namespace vitrail::recipes
