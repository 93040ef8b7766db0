// Signals as requests to the training loop: Ctrl-C and SIGTERM ask it to stop after the current step, SIGUSR1 asks for
// a checkpoint now.
#pragma once

namespace vitrail::recipes {

/// Handles SIGINT, SIGTERM and SIGUSR1 and ignores SIGPIPE from construction to destruction. A second SIGINT or SIGTERM
/// within 5 s of the first ends the program at once; files are written so that this is safe at any moment.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// SIGINT or SIGTERM if one came, else 0. The program's exit code is then 128 + stop().
  static int stop();
  /// Whether SIGUSR1 came since the last call.
  static bool take_checkpoint_request();
};

}  // namespace vitrail::recipes
