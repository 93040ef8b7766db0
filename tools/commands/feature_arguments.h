// The arguments of commands that compute features of images: a model and images.
#pragma once

#include "tools/command_line.h"
#include "tools/commands/background_option.h"
#include "tools/commands/published_arguments.h"
#include "tools/commands/skip_option.h"
#include "tools/commands/terminal_progress.h"
#include "vitrail/data/sources/dataset.h"
#include "vitrail/recipes/models/open_model.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::tools {

struct NamedImages {
  std::vector<std::string> names;  // paths, as given or as found in a folder
  std::unique_ptr<data::Dataset> dataset;
};

/// The images that could be read, with their features.
struct ImageFeatures {
  std::vector<std::string> names;
  Tensor features;      // f32 [N, D], a row for each name
  int64_t skipped = 0;  // images left out
};

struct FeatureArguments {
  std::string model, network;
  std::vector<std::string> images;
  std::string list;
  std::string precision = "f32";
  int64_t batch = 16;
  bool follow_symlinks = false;
  BackgroundOption background;
  PublishedArguments published;
  SkipOption skip;
  std::vector<double> mean, std;  // empty: the model's, like image_size
  std::optional<int64_t> image_size;
  std::string positions;

  void add_to(const Command& command);
  /// All but the model.
  void add_images_to(const Command& command);
  /// As open_with_notes, with the preprocessing that the options ask for.
  recipes::OpenModel open() const;
  /// The files, the files in the folders (at any depth), and those listed in the file `list` or on standard input
  /// ("-"). Throws DataError if there are none, or if one is missing and may not be skipped.
  NamedImages named_images() const;
};

/// Features of the images in their order, with unit norm if `normalise`. Prints the names of images that it skipped.
/// Throws DataError naming an image that cannot be read and may not be skipped, or if none can be read.
ImageFeatures features_of(const recipes::OpenModel& model, const NamedImages& images, const FeatureArguments& arguments,
                          bool normalise, TerminalProgress& progress);

}  // namespace vitrail::tools
