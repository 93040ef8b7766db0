#include "vitrail/recipes/run/signals.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <string_view>

namespace vitrail::recipes {
namespace {

std::atomic<int> stop_signal{0};
std::atomic<time_t> stop_time{0};
std::atomic<bool> checkpoint_request{false};
static_assert(std::atomic<time_t>::is_always_lock_free, "handlers need atomics without locks");

time_t now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec;
}

/// Signal-safe. A message that cannot be written is lost.
void say(std::string_view text) {
  if (write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

void on_stop(int signal) {
  const bool again = stop_signal.load() != 0;
  if (again && signal == SIGINT) {
    say("\nstopped at once; a resumed run goes on from its last checkpoint\n");
    _exit(128 + signal);
  }
  // A lost terminal may send SIGHUP several times.
  if (again && signal == SIGTERM && now() - stop_time.load() < 5) _exit(128 + signal);
  if (signal == SIGINT) say("\nfinishing this step, then saving; Ctrl-C again stops at once\n");
  stop_time = now();
  stop_signal = signal;
}

void on_usr1(int) { checkpoint_request = true; }

constexpr std::array<int, 5> kHandled = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPIPE};
constexpr std::array<void (*)(int), 5> kHandlers = {on_stop, on_stop, on_stop, on_usr1, nullptr};  // nullptr: ignored
std::array<struct sigaction, 5> previous;

}  // namespace

Signals::Signals() {
  stop_signal = 0;
  checkpoint_request = false;
  for (size_t i = 0; i < kHandled.size(); ++i) {
    struct sigaction action {};
    action.sa_handler = kHandlers[i] != nullptr ? kHandlers[i] : SIG_IGN;
    action.sa_flags = SA_RESTART;
    sigaction(kHandled[i], &action, &previous[i]);
    // nohup ignores it, so that the run outlives its terminal.
    if (kHandled[i] == SIGHUP && previous[i].sa_handler == SIG_IGN) sigaction(SIGHUP, &previous[i], nullptr);
  }
}

Signals::~Signals() {
  for (size_t i = 0; i < kHandled.size(); ++i) sigaction(kHandled[i], &previous[i], nullptr);
}

int Signals::stop() { return stop_signal; }

bool Signals::take_checkpoint_request() { return checkpoint_request.exchange(false); }

}  // namespace vitrail::recipes
