// The option --on-error: whether a broken image ends a command or is left out.
#pragma once

#include "tools/command_line.h"
#include "vitrail/data/load/bad_files.h"

#include <string>

namespace vitrail::tools {

struct SkipOption {
  std::string on_error = "fail";

  void add_to(const Command& command);
  bool skips() const { return on_error == "skip"; }
  /// An empty list of broken images. If they are skipped, all but one may be broken. TerminalProgress::report prints
  /// it.
  data::BadFiles bad_files() const;
};

}  // namespace vitrail::tools
