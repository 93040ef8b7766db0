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

  void add_to(const Command& command);
  /// All but the model.
  void add_images_to(const Command& command);
  /// Prints what it had to assume on standard error. Throws as recipes::open_model.
  recipes::OpenModel open() const;
  /// The files, the files in the folders (at any depth), and those listed in the file `list` or on standard input
  /// ("-"). Throws DataError if there are none or one is missing.
  NamedImages named_images() const;
};

/// Features of the images in their order, with unit norm if `normalise`: f32 [N, D].
/// Throws IoError naming an image that cannot be read.
Tensor features_of(const recipes::OpenModel& model, const data::Dataset& images, const FeatureArguments& arguments,
                   bool normalise, TerminalProgress& progress);

}  // namespace vitrail::tools
