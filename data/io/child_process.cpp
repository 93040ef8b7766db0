#include "vitrail/data/io/child_process.h"

#include "vitrail/core/error.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

namespace vitrail::data {
namespace {

enum class Kind : uint64_t { message, done, error };

struct Frame {
  Kind kind;
  uint64_t size;
};
constexpr uint64_t kLargestMessage = uint64_t{1} << 30;

// ---- in the child ---------------------------------------------------------------------------------------------------

void write_all(int fd, const void* from, size_t size) {
  const char* bytes = static_cast<const char*>(from);
  while (size > 0) {
    const ssize_t written = write(fd, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) _exit(1);  // the parent has gone
    bytes += written;
    size -= size_t(written);
  }
}

void send_frame(int fd, Kind kind, std::span<const std::byte> content) {
  const Frame frame{kind, content.size()};
  write_all(fd, &frame, sizeof frame);
  write_all(fd, content.data(), content.size());
}

/// Bytes of address space in use.
rlim_t address_space() {
  rlim_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * rlim_t(sysconf(_SC_PAGESIZE));
}

void limit(__rlimit_resource resource, rlim_t value) {
  const rlimit both{value, value};
  setrlimit(resource, &both);
}

/// Makes the child die with its parent, dump no core, print nothing, and die of its faults despite the parent's
/// handlers.
void restrain(const ChildLimits& limits) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTERM, SIGXCPU}) std::signal(signal, SIG_DFL);
  for (int signal : {SIGPIPE, SIGINT}) std::signal(signal, SIG_IGN);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, rlim_t(limits.cpu_seconds));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  limit(RLIMIT_AS, address_space() + rlim_t(limits.memory_bytes));  // sanitizers reserve terabytes
#endif
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  for (int stream : {STDOUT_FILENO, STDERR_FILENO}) dup2(nowhere, stream);
}

[[noreturn]] void run_child(const std::function<void(const Send&)>& work, const ChildLimits& limits, int fd) {
  restrain(limits);
  try {
    work([fd](std::span<const std::byte> content) { send_frame(fd, Kind::message, content); });
    send_frame(fd, Kind::done, {});
  } catch (const std::exception& error) {
    send_frame(fd, Kind::error, std::as_bytes(std::span(std::string_view(error.what()))));
  }
  _exit(0);
}

std::string name_of(int signal) {
  const char* name = sigabbrev_np(signal);
  return name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(signal);
}

}  // namespace

// ---- in the parent --------------------------------------------------------------------------------------------------

ChildProcess::ChildProcess(const std::function<void(const Send&)>& work, const ChildLimits& limits)
    : timeout_ms_(limits.timeout_ms) {
  int ends[2];
  check<IoError>(pipe2(ends, O_CLOEXEC) == 0, "child", "cannot make a pipe: {}", std::string(std::strerror(errno)));
  pid_ = fork();
  if (pid_ == 0) run_child(work, limits, ends[1]);
  close(ends[1]);
  pipe_ = ends[0];
  if (pid_ < 0) {
    const std::string reason = std::strerror(errno);
    close(pipe_);
    fail<IoError>("child", "cannot start a process: {}", reason);
  }
}

ChildProcess::~ChildProcess() {
  close(pipe_);
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    wait();
  }
}

int ChildProcess::wait() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return status;
}

/// False if the child closed its end first.
bool ChildProcess::read_all(void* to, size_t size) {
  using Clock = std::chrono::steady_clock;
  auto* bytes = static_cast<char*>(to);
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms_);
  while (size > 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd ready{pipe_, POLLIN, 0};
    const int polled = poll(&ready, 1, int(std::max<int64_t>(left, 0)));
    if (polled < 0 && errno == EINTR) continue;
    if (polled == 0) {
      kill(pid_, SIGKILL);
      wait();
      throw ChildFailure("hung: no answer for " + std::to_string(timeout_ms_) + " ms");
    }
    const ssize_t got = read(pipe_, bytes, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes += got;
    size -= size_t(got);
  }
  return true;
}

void ChildProcess::fail_with_cause() {
  const int status = wait();
  if (WIFSIGNALED(status)) throw ChildFailure("crashed: " + name_of(WTERMSIG(status)));
  throw ChildFailure("ended with status " + std::to_string(WEXITSTATUS(status)));
}

std::optional<Bytes> ChildProcess::receive() {
  if (pid_ < 0) return std::nullopt;
  Frame frame{};
  if (!read_all(&frame, sizeof frame)) fail_with_cause();
  if (frame.size > kLargestMessage) throw ChildFailure("sent a message of " + std::to_string(frame.size) + " bytes");
  Bytes content(frame.size);
  if (!read_all(content.data(), content.size())) fail_with_cause();
  if (frame.kind == Kind::message) return content;
  wait();
  if (frame.kind == Kind::done) return std::nullopt;
  throw IoError({reinterpret_cast<const char*>(content.data()), content.size()});
}

}  // namespace vitrail::data
