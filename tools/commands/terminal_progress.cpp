#include "tools/commands/terminal_progress.h"

#include <unistd.h>

namespace vitrail::tools {

std::string images_text(int64_t scored, int64_t left_out) {
  return std::to_string(scored) + " images" + (left_out > 0 ? " (" + std::to_string(left_out) + " left out)" : "");
}

recipes::Tick TerminalProgress::tick(const char* phase) {
  return [this, phase](int64_t done, int64_t total) {
    if (!isatty(STDERR_FILENO) || !progress_.due()) return;
    recipes::ProgressView view;
    view.epoch = view.epochs = 1;
    view.phase = phase;
    view.step = done;
    view.steps = total;
    progress_.update(view);
  };
}

void TerminalProgress::report(const data::BadFiles& skipped) {
  for (const data::BadFile& file : skipped.list()) message("skipped " + file.name + ": " + file.reason);
}

}  // namespace vitrail::tools
