// The training loop, the same for every method.
#pragma once

#include "vitrail/recipes/run/recipe.h"
#include "vitrail/recipes/run/run_folder.h"

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::recipes {

struct LoopOptions {
  std::string command;  // for result.json
  std::string config;   // the resolved recipe, kept in checkpoints
  /// New resolved.yaml of a run that is resumed with changes, written after the checkpoint has loaded; else empty.
  std::string changed = {};
  /// Messages of Recipe::begin(), if it has run already. Otherwise a new run calls it.
  std::optional<std::vector<std::string>> begun = {};
  bool plain = false;  // progress as lines, even on a terminal
  std::FILE* out = stdout;
};

/// Trains until the plan is done or the user stops it. If the folder has a checkpoint, the run continues from it bit
/// for bit, even from the middle of an epoch.
///
/// Each epoch ends with an evaluation (plan().eval_every) and writes last.h5, and best.h5 if the score is the best so
/// far. With plan().not_below_start, the run begins with one. plan().patience epochs without a better score end the
/// run. Ctrl-C, SIGTERM and SIGHUP finish the step, save last.h5 and return. SIGUSR1 saves and continues. A finished
/// run writes result.json; resuming it writes nothing. A run resumed with another schedule says how its learning rate
/// jumps. A loss that is not finite ends the run: the step runs once more to name the first operation that made a NaN
/// or infinity, and last.h5 keeps the state before it.
///
/// Returns the program's exit code: 0 when done, 128 plus the signal's number when stopped by one.
/// Throws: NumericError, IoError, DataError; DiskFull before the first step if its checkpoints do not fit on the disk;
/// ConfigError if the run has done more steps than the plan has, or other ones.
int run_training(Recipe& recipe, const RunFolder& folder, const LoopOptions& options);

/// Prints the networks, their cost, and the time of an epoch estimated from a few steps.
void dry_run(Recipe& recipe, std::FILE* out);

}  // namespace vitrail::recipes
