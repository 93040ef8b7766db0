// The option --background of commands that show images to a model.
#pragma once

#include "tools/command_line.h"
#include "vitrail/data/image/background.h"

#include <string>
#include <vector>

namespace vitrail::tools {

struct BackgroundOption {
  std::string color;  // empty: what the run has; a published model has none

  void add_to(const Command& command) {
    command.option("--background", color, "behind transparent pixels, for this command: white, '#rrggbb', or drop");
  }
  /// As changes of the model's settings. Throws ConfigError for a text that is no colour.
  std::vector<std::string> changes() const {
    if (color.empty()) return {};
    return {"data.background='" + data::Background::parse(color).text() + "'"};
  }
};

}  // namespace vitrail::tools
