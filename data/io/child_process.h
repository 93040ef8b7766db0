// Work that may crash, hang or use up memory, done in a forked child that sends its results as messages.
//
// A fork rather than a new program: a library has no program of its own to start. The child runs `work` alone on one
// thread; the tensor pool, the HDF5 layer and the C library's allocator are made to survive a fork, and nothing else
// that other threads may hold locked may be used (no OpenMP, no logging).
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
  int64_t memory_bytes = int64_t{8} << 30;  // beyond what the parent has
  int64_t cpu_seconds = 3600;
  int timeout_ms = 5000;  // the longest time between two messages
};

using Send = std::function<void(std::span<const std::byte>)>;

/// How a child ended that did not end well: "crashed: SIGSEGV", "hung: no answer for 5000 ms".
class ChildFailure final : public Error {
 public:
  using Error::Error;
};

class ChildProcess final {
 public:
  /// Starts work(send) in a child. Throws IoError if there can be no child.
  ChildProcess(const std::function<void(const Send&)>& work, const ChildLimits& limits);
  /// Ends the child if it is still there.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// The next message; nothing once work has returned.
  /// Throws IoError with the message of what work threw; ChildFailure if the child did not get that far.
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
