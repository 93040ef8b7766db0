// The arguments of commands that compute features of images: a model and images.
#pragma once

#include "tools/command_line.h"
#include "tools/commands/background_option.h"
#include "tools/commands/terminal_progress.h"
#include "vitrail/data/sources/dataset.h"
#include "vitrail/recipes/models/open_model.h"

#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {

struct NamedImages {
  std::vector<std::string> names;  // paths, as given or as found in a folder
  std::unique_ptr<data::Dataset> dataset;
};

struct FeatureArguments {
  std::string model;
  std::vector<std::string> images;
  std::string list;
  std::string precision = "f32";
  int64_t batch = 16;
  BackgroundOption background;
