// What the ranks of a run say to each other: rank 0 leads, the others follow.
#pragma once

#include "vitrail/core/comm/shards.h"
#include "vitrail/core/tensor_map.h"
#include "vitrail/recipes/run/recipe.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace vitrail::recipes {

/// True on rank 0, and alone. It owns the run's folder, evaluates, and speaks for all.
bool leads();

/// The shards of this rank. Throws ConfigError if the method trains on whole batches and there are several ranks, or as
/// vitrail::shards_of_rank.
Shards shards_of_plan(const Plan& plan);

/// Rank 0's tensors, on every rank.
TensorMap from_lead(const TensorMap& tensors);

/// What users ask of a rank by signals.
struct Requests {
  int stop = 0;  // the signal's number
  bool checkpoint = false;
};
/// What was asked of any rank: the first signal in the order of ranks.
Requests requests_of_all();

/// The recipe's step. If a number is not finite, runs the step again to find the first operation at fault; say shows
/// messages.
Stats guarded_step(Recipe& recipe, std::span<const data::Batch> shards, const At& at,
                   const std::function<void(const std::string&)>& say);

/// What rank 0 tells the others to do next.
enum class Order : int64_t {
  step,
  wait,  // while rank 0 evaluates
  end,
};
struct Command {
  Order order = Order::step;
  int64_t code = 0;  // of the program, at the end
};
Command from_lead(const Command& command);

/// Trains as a rank that is not rank 0: the same steps, on shards of its own. Returns the program's exit code.
int follow_training(Recipe& recipe);

/// Joins the ranks of a launcher for the length of `body`, and ends all ranks if body throws: run_program for programs
/// that train.
int run_ranked(int (*body)(int argc, char** argv), int argc, char** argv);

}  // namespace vitrail::recipes
