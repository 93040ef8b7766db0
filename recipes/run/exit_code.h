// Exit codes of the programs, decided in one place.
#pragma once

#include <exception>

namespace vitrail::recipes {

/// A run that a signal stopped returns 128 plus the signal's number: 130 after Ctrl-C, 143 after SIGTERM.
enum ExitCode : int {
  kDone = 0,
  kFailed = 1,     // any other error: a loss that is not finite; WriteError
  kBadRecipe = 2,  // ConfigError: recipe or arguments
  kBadData = 3,    // DataError; IoError: a file that is missing, damaged or of another format; std::filesystem_error
  kNoSpace = 4,    // OutOfMemory, std::bad_alloc, DiskFull; standard output that cannot be written
};

/// The code for an error that ends a program.
ExitCode exit_code(const std::exception& error);

/// Runs body and returns its exit code. Prints an exception to stderr and returns its code. If what body printed could
/// not be written (a full disk, a reader that has gone), says so and returns kNoSpace unless body failed itself.
int run_program(int (*body)(int argc, char** argv), int argc, char** argv);

}  // namespace vitrail::recipes
