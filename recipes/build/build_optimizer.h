// The `optim:` and `schedule:` sections of a recipe, and the optimizer and schedule that they describe.
#pragma once

#include "vitrail/optim/optimizer.h"
#include "vitrail/optim/param_groups.h"
#include "vitrail/optim/sgd.h"
#include "vitrail/recipes/config/fields.h"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::nn {
class ModuleBase;
}

namespace vitrail::recipes {

enum class OptimizerKind { adamw, sgd, lamb, lars };

struct OptimConfig {
  OptimizerKind name = OptimizerKind::adamw;
  double lr = 1e-3;
  std::optional<int64_t> lr_per_images;
  double weight_decay = 0.05;
  std::vector<double> betas{0.9, 0.999};
  double eps = 1e-8;
  double momentum = 0.9;
  bool nesterov = false;
  double layer_decay = 1;
  double clip_grad = 0;

  void describe(Fields& f);
  /// The peak learning rate for a batch size: lr * batch_size / lr_per_images, or lr without lr_per_images.
  double peak_lr(int64_t batch_size) const;
};

enum class ScheduleKind { cosine, linear, step, constant };
enum class ScheduleBy { step, epoch };

struct ScheduleConfig {
  ScheduleKind name = ScheduleKind::cosine;
  double warmup_epochs = 5;
  double min_lr = 0;
  double warmup_lr = 0;
  bool warmup_prefix = true;
  ScheduleBy by = ScheduleBy::step;
  double step_epochs = 30;
  double gamma = 0.1;

  void describe(Fields& f);
};

/// Throws ConfigError for values that do not fit together.
std::unique_ptr<optim::Optimizer> build_optimizer(const nn::ModuleBase& model, const OptimConfig& config,
                                                  const optim::DecayRule& rule = optim::timm_decay());
/// The same for groups of a method's own.
std::unique_ptr<optim::Optimizer> build_optimizer(const std::vector<optim::ParamGroup>& groups,
                                                  const OptimConfig& config, optim::LarsRule lars_rule);

/// Throws ConfigError unless a warm-up is shorter than the run.
void check_warmup(double warmup_epochs, int64_t epochs);

/// The learning rate as a function of the number of steps done.
/// Throws ConfigError if the warm-up is as long as the run.
std::function<double(double)> build_schedule(const ScheduleConfig& config, double peak_lr, int64_t epochs,
                                             int64_t steps_per_epoch);

}  // namespace vitrail::recipes
