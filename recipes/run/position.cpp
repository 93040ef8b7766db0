#include "vitrail/recipes/run/position.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/run/checkpoint.h"

#include <string>

namespace vitrail::recipes {

TensorMap to_map(const Position& p, const Plan& plan) {
  TensorMap map = {{"step", tensor<int64_t>({p.step}, {})},
                   {"batch_size", tensor<int64_t>({plan.batch_size}, {})},
                   {"steps_per_epoch", tensor<int64_t>({plan.steps_per_epoch}, {})},
                   {"evaluated", tensor<int64_t>({p.evaluated}, {})},
                   {"log_lines", tensor<int64_t>({p.log_lines}, {})},
                   {"best_score", scalar(p.best_score, DType::f64)},
                   {"best_epoch", tensor<int64_t>({p.best_epoch}, {})},
                   {"first_loss", scalar(p.first_loss, DType::f64)},
                   {"lr", scalar(p.lr, DType::f64)},
                   {"next_lr", scalar(plan.lr(double(p.step)), DType::f64)}};
  const auto add = [&map](const std::string& group, const Stats& stats) {
    for (const auto& [name, value] : stats) map.emplace(group + name, scalar(value, DType::f64));
  };
  if (plan.shards > 1) map.emplace("shards", tensor<int64_t>({plan.shards}, {}));
  if (plan.steps_per_pass > 0) map.emplace("steps_per_pass", tensor<int64_t>({plan.steps_per_pass}, {}));
  add("metrics/", p.metrics);
  add("best/", p.best);
  add("start/", p.start);
  add("sums/", p.sums);
  return map;
}

Position to_position(const TensorMap& map, const Plan& plan) {
  const auto number = [&map](const char* name) -> const Tensor& {
    const auto it = map.find(name);
    check<IoError>(it != map.end(), "checkpoint", "loop/{} is missing", name);
    return it->second;
  };
  // The steps done give the place in the data only if these are unchanged.
  const int64_t batch_size = number("batch_size").span<int64_t>()[0];
  const int64_t steps_per_epoch = number("steps_per_epoch").span<int64_t>()[0];
  check<ConfigError>(
      batch_size == plan.batch_size && steps_per_epoch == plan.steps_per_epoch, "train",
      "the run has {} steps an epoch with batches of {}; a resumed run cannot have {} with batches of {}",
      steps_per_epoch, batch_size, plan.steps_per_epoch, plan.batch_size);
  const int64_t steps_per_pass = map.contains("steps_per_pass") ? number("steps_per_pass").span<int64_t>()[0] : 0;
  check<ConfigError>(steps_per_pass == plan.steps_per_pass, "train.steps_per_epoch",
                     "the run makes {} steps in a pass over the data, now it would be {}: a resumed run needs as many "
                     "images, and steps_per_epoch as before",
                     steps_per_pass > 0 ? steps_per_pass : steps_per_epoch,
                     plan.steps_per_pass > 0 ? plan.steps_per_pass : plan.steps_per_epoch);
  const int64_t shards = map.contains("shards") ? number("shards").span<int64_t>()[0] : 1;
  check<ConfigError>(shards == plan.shards || !map.contains("shards"), "train.shards",
                     "the run trains in {} shards, so its numbers are those of {}; now it would be {}", shards, shards,
                     plan.shards);
  Position p;
  p.was_unsharded = shards != plan.shards;
  p.step = number("step").span<int64_t>()[0];
  p.evaluated = number("evaluated").span<int64_t>()[0];
  p.log_lines = number("log_lines").span<int64_t>()[0];
  p.best_score = number("best_score").item();
  const auto stats = [&map](const std::string& group) {
    Stats result;
    for (const auto& [name, value] : sub_map(map, group)) result.emplace_back(name, value.item());
    return result;
  };
  p.metrics = stats("metrics");
  p.best = stats("best");
  p.start = stats("start");
  p.sums = stats("sums");
  // Checkpoints of version 0.1.0 lack these.
  const auto later_number = [&map](const char* name, double otherwise) {
    const auto it = map.find(name);
    return it == map.end() ? otherwise : it->second.item();
  };
  p.best_epoch = int64_t(later_number("best_epoch", 0));
  p.first_loss = later_number("first_loss", Position::kUnknown);
  p.lr = later_number("lr", Position::kUnknown);
  p.next_lr = later_number("next_lr", Position::kUnknown);
  return p;
}

}  // namespace vitrail::recipes
