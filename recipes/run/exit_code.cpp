#include "vitrail/recipes/run/exit_code.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <new>
#include <string>
#include <system_error>

namespace vitrail::recipes {

ExitCode exit_code(const std::exception& error) {
  if (dynamic_cast<const ConfigError*>(&error)) return kBadRecipe;
  const bool no_memory = dynamic_cast<const OutOfMemory*>(&error) || dynamic_cast<const std::bad_alloc*>(&error);
  if (no_memory || dynamic_cast<const DiskFull*>(&error)) return kNoSpace;
  if (dynamic_cast<const WriteError*>(&error)) return kFailed;
  const bool unreadable =
      dynamic_cast<const IoError*>(&error) || dynamic_cast<const std::filesystem::filesystem_error*>(&error);
  return unreadable || dynamic_cast<const DataError*>(&error) ? kBadData : kFailed;
}

namespace {

/// Makes the allocator keep freed memory, up to a limit. Thousands of images are allocated and freed; returning each
/// one's memory to the system costs more time in page faults than decoding the image.
void keep_freed_memory() {
  constexpr int kLargestKept = 32 << 20, kKept = 256 << 20;
  mallopt(M_MMAP_THRESHOLD, kLargestKept);
  mallopt(M_TRIM_THRESHOLD, kKept);
}

/// Gives standard streams that the caller closed to /dev/null, so that no file of ours takes their numbers. Reading or
/// writing them fails.
void open_missing_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(stream, F_GETFD) < 0) ::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/// The message for people, also of errors that are not ours.
std::string plain_text(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error)) return "[memory] out of memory";
  if (const auto* const file = dynamic_cast<const std::filesystem::filesystem_error*>(&error))
    return "[file] " + file->path1().string() + ": " + file->code().message();
  return error.what();
}

}  // namespace

int run_program(int (*body)(int argc, char** argv), int argc, char** argv) {
  keep_freed_memory();
  open_missing_streams();
  std::signal(SIGPIPE, SIG_IGN);  // writing to a reader that has gone then fails like writing to a full disk
  int code = kDone;
  try {
    code = body(argc, argv);
  } catch (const std::exception& error) {
    const bool output_only = dynamic_cast<const std::system_error*>(&error) && std::ferror(stdout) != 0;  // fmt::print
    if (!output_only) {
      std::fprintf(stderr, "%s\n", plain_text(error).c_str());
      code = exit_code(error);
    }
  }
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  std::fputs("[output] standard output could not be written in full\n", stderr);
  return code == kDone ? kNoSpace : code;
}

}  // namespace vitrail::recipes
