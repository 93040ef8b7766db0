// The arguments of commands that evaluate a trained model on its data.
#pragma once

#include "tools/command_line.h"
#include "tools/commands/background_option.h"
#include "tools/commands/published_arguments.h"
#include "vitrail/recipes/models/open_model.h"

#include <string>
#include <vector>

namespace vitrail::tools {

inline constexpr const char* kAnyModel =
    "folder of a run (its best.h5, else last.h5; averaged weights if it has them), a checkpoint, the folder of a "
    "published model, or a .safetensors file";

/// A checkpoint, then other data (a word without '=') and overrides of its recipe (key=value).
struct ModelArguments {
  std::string checkpoint, network;
  std::vector<std::string> rest;
  BackgroundOption background;
  PublishedArguments published;

  /// model_help: what the checkpoint may be.
  void add_to(const Command& command, const std::string& data_help, const std::string& model_help = kAnyModel);
  /// The overrides; other data becomes an override of data.root, or of data.val_root if it is undivided, --background
  /// one of data.background.
  std::vector<std::string> changes() const;
  /// As open_with_notes.
  recipes::OpenModel open() const;
};

}  // namespace vitrail::tools
