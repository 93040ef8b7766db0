// The training loop, the same for every method.
#pragma once

#include "vitrail/recipes/run/recipe.h"
#include "vitrail/recipes/run/run_folder.h"

#include <cstdio>
#include <string>

namespace vitrail::recipes {

struct LoopOptions {
  std::string command;  // for result.json
  std::string config;   // the resolved recipe, kept in checkpoints
  /// Of a run that goes on with other values: its new resolved.yaml, written once the checkpoint fits them; else empty.
  std::string changed = {};
  bool plain = false;  // never a live line
  std::FILE* out = stdout;
};

/// Trains until the plan is done or the user asks to stop. If the folder has a checkpoint, goes on from it as if
/// nothing had happened, bit for bit, in the middle of an epoch too.
///
/// Each epoch ends with an evaluation (plan().eval_every) and with last.h5, and best.h5 if the score is the best so
/// far. Ctrl-C and SIGTERM finish the step, save last.h5 and return; SIGUSR1 saves and goes on. Without a signal,
/// result.json is written at the end. A step whose loss is not finite is run again to find the first operation at
/// fault, and ends the run; last.h5 is still that of good steps.
///
/// Returns the program's exit code: 0 when done, 130 or 143 when stopped by a signal.
/// Throws: NumericError, IoError, DataError.
int run_training(Recipe& recipe, const RunFolder& folder, const LoopOptions& options);

/// Prints the model, its cost, and the time of an epoch as a few steps suggest.
void dry_run(Recipe& recipe, std::FILE* out);

}  // namespace vitrail::recipes
