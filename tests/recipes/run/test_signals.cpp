#include "vitrail/recipes/run/signals.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

using vitrail::recipes::Signals;

TEST_CASE("signals become requests") {
  const Signals signals;
  CHECK(Signals::stop() == 0);
  raise(SIGPIPE);
  CHECK_FALSE(Signals::take_checkpoint_request());
  raise(SIGUSR1);
  CHECK(Signals::take_checkpoint_request());
  CHECK_FALSE(Signals::take_checkpoint_request());
  raise(SIGTERM);
  CHECK(Signals::stop() == SIGTERM);
}

TEST_CASE("a second signal soon after ends the program") {
  const pid_t child = fork();
  if (child == 0) {
    const Signals signals;
    raise(SIGINT);
    raise(SIGINT);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 130);
}
