// The keys of `train:` that every method has, and the Plan that they make.
#pragma once

#include "vitrail/recipes/build/build_optimizer.h"
#include "vitrail/recipes/config/fields.h"
#include "vitrail/recipes/run/recipe.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace vitrail::recipes {

/// A method's own Train section derives from this and describes the keys where they stand in its section.
struct TrainKeys {
  int64_t epochs = 100;
  std::optional<int64_t> steps_per_epoch;
  int64_t batch_size = 128;
  std::optional<int64_t> shards;
  int64_t checkpoint_every = 0;
  int64_t log_every = 10;
  int64_t patience = 0;

  /// epochs, steps_per_epoch and batch_size. what_batch: the help of batch_size.
  void describe_length(Fields& f, std::string_view what_batch = "images a step");
  /// shards, for methods that train in shards.
  void describe_shards(Fields& f);
  /// patience, checkpoint_every and log_every.
  void describe_records(Fields& f);

  /// A plan of `epochs` epochs of steps_per_epoch steps; by default of as many whole batches as epoch_size samples
  /// fill. The method adds its schedules. Throws ConfigError if they fill none.
  Plan plan(const RecipeConfig& config, int64_t epoch_size) const;
  /// The same with the schedule of the learning rate, and with a constant weight decay.
  Plan plan(const RecipeConfig& config, int64_t epoch_size, const OptimConfig& optim,
            const ScheduleConfig& schedule) const;
};

}  // namespace vitrail::recipes
