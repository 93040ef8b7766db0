#include "vitrail/recipes/build/train_keys.h"

#include "vitrail/core/error.h"

#include <bit>

namespace vitrail::recipes {

void TrainKeys::describe_length(Fields& f, std::string_view what_batch) {
  f("epochs", epochs, "passes over the training images, or as many times steps_per_epoch", at_least(1));
  f("steps_per_epoch", steps_per_epoch,
    "steps after which an epoch ends, wherever in the images it is: schedules, evaluations and logs count these "
    "epochs; null: a pass over the images",
    at_least(1));
  f("batch_size", batch_size, what_batch, at_least(1));
}

void TrainKeys::describe_shards(Fields& f) {
  f("shards", shards,
    "equal parts of a batch, each computed by itself: they save memory, and ranks share them. The numbers depend on "
    "the "
    "shards, not on the ranks. null: as many as ranks when the run begins",
    at_least(1));
  f.also("train.accumulate", "train.shards");
}

void TrainKeys::describe_records(Fields& f) {
  f("patience", patience,
    "epochs without a better score, the one that chooses best.h5, after which the run ends; 0: it never ends early",
    at_least(0));
  f("checkpoint_every", checkpoint_every, "steps between checkpoints; 0: only at the end of each epoch", at_least(0));
  f("log_every", log_every, "steps between lines of metrics.jsonl", at_least(1));
}

Plan TrainKeys::plan(const RecipeConfig& config, int64_t epoch_size) const {
  const int64_t steps_per_pass = epoch_size / batch_size;
  check<ConfigError>(epoch_size > 0, "train", "the training part has no images");
  check<ConfigError>(steps_per_pass > 0, "train.batch_size",
                     "{} is more than the {} training images of an epoch; write train.batch_size={}", batch_size,
                     epoch_size, std::bit_floor(uint64_t(epoch_size)));
  check<ConfigError>(batch_size % shards.value_or(1) == 0, "train.shards", "{} does not divide train.batch_size {}",
                     *shards, batch_size);
  return {.name = config.name,
          .seed = uint64_t(config.seed),
          .compute = config.precision,
          .epochs = epochs,
          .steps_per_epoch = steps_per_epoch.value_or(steps_per_pass),
          .steps_per_pass = steps_per_epoch ? steps_per_pass : 0,
          .batch_size = batch_size,
          .shards = shards.value_or(1),
          .patience = patience,
          .checkpoint_every = checkpoint_every,
          .log_every = log_every};
}

Plan TrainKeys::plan(const RecipeConfig& config, int64_t epoch_size, const OptimConfig& optim,
                     const ScheduleConfig& schedule) const {
  Plan result = plan(config, epoch_size);
  result.lr = build_schedule(schedule, optim.peak_lr(batch_size), epochs, result.steps_per_epoch);
  result.weight_decay = [decay = optim.weight_decay](double) { return decay; };
  return result;
}

}  // namespace vitrail::recipes
