// The images and the model that a command was given, and their features.
#pragma once

#include "tools/commands/arguments.h"
#include "vitrail/data/sources/dataset.h"
#include "vitrail/recipes/models/open_model.h"

#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {

struct NamedImages {
  std::vector<std::string> names;  // as given, or as found in a folder
  std::unique_ptr<data::Dataset> dataset;
};

/// Which model, which images, how many at a time.
struct FeatureArguments {
  std::string model;
  std::vector<std::string> images;
  std::string list;
  std::string precision = "f32";
  int64_t batch = 16;

  void add_to(CLI::App& command);
  /// Throws as recipes::open_model; says on standard error what it had to assume.
  recipes::OpenModel open() const;
  /// Files, those of folders at any depth, those on the lines of the list or of standard input ("-"), in this order.
  /// Throws DataError if there are none or one is missing.
  NamedImages named_images() const;
};

/// Features of the images in their order, of length 1 if normalised: f32 [N, D].
/// Throws IoError naming an image that cannot be read.
Tensor features_of(const recipes::OpenModel& model, const data::Dataset& images, const FeatureArguments& arguments,
                   bool normalise, TerminalProgress& progress);

}  // namespace vitrail::tools
