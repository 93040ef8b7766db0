#include "vitrail/recipes/run/signals.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

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

TEST_CASE("a lost terminal stops a run like SIGTERM, however often it says so, unless nohup started the run") {
  {
    const Signals signals;
    for (int i = 0; i < 3; ++i) raise(SIGHUP);
    CHECK(Signals::stop() == SIGHUP);
  }
  const auto before = signal(SIGHUP, SIG_IGN);  // as nohup does
  {
    const Signals signals;
    raise(SIGHUP);
    CHECK(Signals::stop() == 0);
  }
  signal(SIGHUP, before);
}

TEST_CASE("the first Ctrl-C says what happens, the second ends the program at once") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    const Signals signals;
    raise(SIGINT);
    raise(SIGINT);
    _exit(0);
  }
  close(ends[1]);
  std::string text(1000, 0);
  size_t size = 0;
  for (ssize_t n; (n = read(ends[0], text.data() + size, text.size() - size)) > 0;) size += size_t(n);
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 130);
  text.resize(size);
  CHECK(text.find("finishing this step, then saving; Ctrl-C again stops at once") != std::string::npos);
  CHECK(text.find("stopped at once") != std::string::npos);
}

TEST_CASE("a second signal soon after ends the program") {
  const pid_t child = fork();
  if (child == 0) {
    const Signals signals;
    raise(SIGTERM);
    raise(SIGTERM);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 143);
}
