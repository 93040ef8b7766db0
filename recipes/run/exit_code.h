// What a program returns to the shell, decided in one place.
#pragma once

#include <exception>

namespace vitrail::recipes {

/// A run stopped by a signal returns 128 plus its number: 130 after Ctrl-C, 143 after SIGTERM.
enum ExitCode : int {
  kDone = 0,
  kFailed = 1,     // anything else: a loss that is not finite, a file that cannot be written
  kBadRecipe = 2,  // ConfigError: recipe or arguments
  kBadData = 3,    // DataError
  kNoSpace = 4,    // OutOfMemory, std::bad_alloc, DiskFull
};

ExitCode exit_code(const std::exception& error);

/// Runs body and returns its exit code. An error is printed to stderr and becomes its code.
int run_program(int (*body)(int argc, char** argv), int argc, char** argv);

}  // namespace vitrail::recipes
