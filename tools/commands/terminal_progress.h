// Progress of long work on the terminal.
#pragma once

#include "vitrail/data/load/bad_files.h"
#include "vitrail/recipes/run/progress.h"
#include "vitrail/recipes/run/recipe.h"

#include <string>

namespace vitrail::tools {

/// "360 images", or "358 images (2 left out)": how many a score counts.
std::string images_text(int64_t scored, int64_t left_out);

/// A progress line on standard error. It is shown only if that is a terminal.
class TerminalProgress final {
 public:
  /// Shows the progress of one phase: "eval", "features", ...; a literal.
  recipes::Tick tick(const char* phase);
  /// Prints a line on standard error.
  void message(const std::string& text) { progress_.message(text); }
  /// Prints a line for each file that was skipped.
  void report(const data::BadFiles& skipped);

 private:
  recipes::Progress progress_{stderr};
};

}  // namespace vitrail::tools
