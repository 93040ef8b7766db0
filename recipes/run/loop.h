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
  /// New resolved.yaml of a run that is resumed with changes, written after the checkpoint has loaded; else empty.
  std::string changed = {};
  bool plain = false;  // progress as lines, even on a terminal
  std::FILE* out = stdout;
};

/// Trains until the plan is done or the user stops it. If the folder has a checkpoint, the run continues from it bit
/// for bit, even from the middle of an epoch.
///
/// Each epoch ends with an evaluation (plan().eval_every) and writes last.h5, and best.h5 if the score is the best so
/// far. Ctrl-C and SIGTERM finish the step, save last.h5 and return. SIGUSR1 saves and continues. A finished run writes
/// result.json. A loss that is not finite ends the run: the step runs once more to name the first operation that made a
/// NaN or infinity, and last.h5 keeps the state before it.
///
/// Returns the program's exit code: 0 when done, 130 or 143 when stopped by a signal.
/// Throws: NumericError, IoError, DataError.
int run_training(Recipe& recipe, const RunFolder& folder, const LoopOptions& options);

/// Prints the networks, their cost, and the time of an epoch estimated from a few steps.
void dry_run(Recipe& recipe, std::FILE* out);

}  // namespace vitrail::recipes
