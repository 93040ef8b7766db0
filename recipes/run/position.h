// Position: how far a run has come, as its checkpoints keep it.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/recipes/run/recipe.h"
#include "vitrail/recipes/run/stats.h"

#include <cstdint>
#include <limits>

namespace vitrail::recipes {

/// The loop's part of a checkpoint. The place in the data and the random numbers of a step follow from the step alone.
struct Position {
  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

  int64_t step = 0;       // steps done
  int64_t evaluated = 0;  // steps done at the last evaluation; -1: one is due before the first step
  int64_t log_lines = 0;  // of metrics.jsonl
  double best_score = -std::numeric_limits<double>::infinity();
  int64_t best_epoch = 0;  // from 1; 0: none yet, or the evaluation before the first step
  Stats metrics, best;     // of the last evaluation and of the best one, by name
  Stats start;             // Plan::not_below_start before the first step, with "_start" after their names
  Stats sums;              // of loss and accuracy over the steps of the present epoch, and "steps"
  double first_loss = kUnknown;
  bool was_unsharded = false;                // an earlier version wrote the checkpoint, and the run has micro-batches
  double lr = kUnknown, next_lr = kUnknown;  // the rate of the last step, and the planned one of the next

  /// An evaluation had a score, so that best.h5 exists. (best_score alone does not say so: checkpoints of version 0.1.0
  /// lack the epoch.)
  bool has_best() const {
    return best_epoch > 0 || (!start.empty() && best_score > -std::numeric_limits<double>::infinity());
  }
};

/// The position as tensors. The plan adds what must not change when the run is resumed.
TensorMap to_map(const Position& position, const Plan& plan);
/// Back. Throws IoError if a number is missing, ConfigError if plan has other batches or steps in an epoch.
Position to_position(const TensorMap& map, const Plan& plan);

}  // namespace vitrail::recipes
