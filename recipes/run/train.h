// The program `train`, as functions: for programs that bring methods of their own.
//
//   int main(int argc, char** argv) {
//     recipes::register_method("mae", [] { return std::make_unique<MaeConfig>(); });
//     return recipes::train_main(argc, argv);
//   }
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace vitrail::recipes {

enum class TrainAction {
  train,
  dry_run,       // print the networks, their cost and the time of an epoch
  print_config,  // print every value with its origin
  print_keys,    // print every key with its default and meaning
};

struct TrainOptions {
  std::filesystem::path recipe = {};      // recipe file of a new run
  std::filesystem::path resume = {};      // or the folder of a run to continue
  std::vector<std::string> changes = {};  // "key=value", each overrides the recipe
  TrainAction action = TrainAction::train;
  bool plain = false;        // progress as lines, even on a terminal
  std::string command = {};  // the command line, for environment.json and result.json
  std::FILE* out = stdout;
};

/// Reads the recipe, opens the run's folder, builds the method and trains; or only prints, as options.action says. A
/// new run writes recipe.yaml, environment.json and resolved.yaml before its first step. A resumed run continues from
/// its last checkpoint bit for bit. Returns the exit code: 0 when done, 130 or 143 when stopped by a signal. Throws
/// ConfigError for a recipe or folder that cannot be used; otherwise as RecipeConfig::build and run_training.
int run_train(const TrainOptions& options);

/// All of main(): train RECIPE.yaml [key=value ...], train --resume RUN, and the options that --help lists.
/// Errors are printed to stderr. Returns the exit code (exit_code.h).
int train_main(int argc, char** argv);

}  // namespace vitrail::recipes
