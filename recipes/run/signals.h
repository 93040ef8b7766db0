// Signals as requests to the training loop: Ctrl-C, SIGTERM and SIGHUP stop it after the current step, SIGUSR1 asks for
// a checkpoint.
#pragma once

namespace vitrail::recipes {

/// Handles SIGINT, SIGTERM, SIGHUP and SIGUSR1 and ignores SIGPIPE from construction to destruction. Under nohup SIGHUP
/// stays ignored. The first SIGINT says on stderr that the step is being finished. A second SIGINT, or a second SIGTERM
/// within 5 s, ends the program at once. That is safe at any moment: files are replaced atomically.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// SIGINT, SIGTERM or SIGHUP if one has arrived, else 0. The program's exit code is then 128 + stop().
  static int stop();
  /// True if SIGUSR1 has arrived since the last call.
  static bool take_checkpoint_request();
};

}  // namespace vitrail::recipes
