#include "vitrail/recipes/run/exit_code.h"

#include "vitrail/core/error.h"

#include <malloc.h>

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

namespace {

/// Makes the allocator keep freed memory, up to a limit. Thousands of images are allocated and freed; returning each
/// one's memory to the system costs more time in page faults than decoding the image.
void keep_freed_memory() {
  constexpr int kLargestKept = 32 << 20, kKept = 256 << 20;
  mallopt(M_MMAP_THRESHOLD, kLargestKept);
  mallopt(M_TRIM_THRESHOLD, kKept);
}

}  // namespace

int run_program(int (*body)(int argc, char** argv), int argc, char** argv) {
  keep_freed_memory();
  try {
    return body(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return exit_code(error);
  }
}

}  // namespace vitrail::recipes
