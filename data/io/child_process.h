// Runs work that may crash, hang or use up memory in a forked child, which sends its results as messages.
//
// It forks because a library has no program of its own to start. The child runs `work` on one thread. The tensor pool,
// the HDF5 layer and the C library's allocator survive a fork. `work` must not use anything else that another thread
// may hold locked (no OpenMP, no logging).
#pragma once

#include "vitrail/core/error.h"
#include "vitrail/data/io/bytes.h"

#include <sys/types.h>

#include <functional>
#include <optional>
#include <span>
#include <string>

namespace vitrail::data {

struct ChildLimits {
  int64_t memory_bytes = int64_t{8} << 30;  // beyond the parent's own
  int64_t cpu_seconds = 3600;
  int timeout_ms = 30000;  // the longest time between two messages; a disk may have to wake up
};

using Send = std::function<void(std::span<const std::byte>)>;

/// A child that failed: "crashed: SIGSEGV", "hung: no answer for 30000 ms".
class ChildFailure final : public Error {
 public:
  using Error::Error;
};

/// Work that runs in a forked child, so that a crash or an endless loop in it cannot end this process.
class ChildProcess final {
 public:
  /// Starts work(send) in a child. Throws IoError if the system cannot fork.
  ChildProcess(const std::function<void(const Send&)>& work, const ChildLimits& limits);
  /// Ends the child if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// The next message; nothing after work has returned.
  /// Throws IoError with the message of an exception that work threw; ChildFailure if the child crashed or hung.
  std::optional<Bytes> receive();

 private:
  bool read_all(void* to, size_t size);
  [[noreturn]] void fail_with_cause();
  int wait();

  pid_t pid_ = -1;
  int pipe_ = -1;
  int timeout_ms_;
};

}  // namespace vitrail::data
