// The arguments of commands that evaluate a trained model on its data.
#pragma once

#include "tools/command_line.h"
#include "vitrail/recipes/models/open_model.h"

#include <string>
#include <vector>

namespace vitrail::tools {

/// A checkpoint, then other data (a word without '=') and overrides of its recipe (key=value).
struct ModelArguments {
  std::string checkpoint;
  std::vector<std::string> rest;

  void add_to(const Command& command, const std::string& data_help);
  /// The overrides; other data becomes an override of data.root, or of data.val_root if it is undivided.
  std::vector<std::string> changes() const;
  /// Throws as recipes::open_model.
  recipes::OpenModel open() const { return recipes::open_model(checkpoint, changes()); }
};

}  // namespace vitrail::tools
