#include "recipes/exit_code.h"

#include "core/error.h"

#include <cstdio>
#include <new>

namespace vitrail::recipes {

ExitCode exit_code(const std::exception& error) {
  if (dynamic_cast<const ConfigError*>(&error)) return kBadRecipe;
  if (dynamic_cast<const DataError*>(&error)) return kBadData;
  const bool no_memory = dynamic_cast<const OutOfMemory*>(&error) || dynamic_cast<const std::bad_alloc*>(&error);
  if (no_memory || dynamic_cast<const DiskFull*>(&error)) return kNoSpace;
  return kFailed;
}

int run_program(int (*body)(int argc, char** argv), int argc, char** argv) {
  try {
    return body(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return exit_code(error);
  }
}

}  // namespace vitrail::recipes
