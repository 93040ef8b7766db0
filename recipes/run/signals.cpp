#include "vitrail/recipes/run/signals.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>

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

void on_stop(int signal) {
  if (stop_signal.load() != 0 && now() - stop_time.load() < 5) _exit(128 + signal);
  stop_time = now();
  stop_signal = signal;
}

void on_usr1(int) { checkpoint_request = true; }

constexpr std::array<int, 4> kHandled = {SIGINT, SIGTERM, SIGUSR1, SIGPIPE};
constexpr std::array<void (*)(int), 4> kHandlers = {on_stop, on_stop, on_usr1, nullptr};  // nullptr: ignored
std::array<struct sigaction, 4> previous;

}  // namespace

Signals::Signals() {
  stop_signal = 0;
  checkpoint_request = false;
  for (size_t i = 0; i < kHandled.size(); ++i) {
    struct sigaction action {};
    action.sa_handler = kHandlers[i] != nullptr ? kHandlers[i] : SIG_IGN;
    action.sa_flags = SA_RESTART;
    sigaction(kHandled[i], &action, &previous[i]);
  }
}

Signals::~Signals() {
  for (size_t i = 0; i < kHandled.size(); ++i) sigaction(kHandled[i], &previous[i], nullptr);
}

int Signals::stop() { return stop_signal; }

bool Signals::take_checkpoint_request() { return checkpoint_request.exchange(false); }

}  // namespace vitrail::recipes
