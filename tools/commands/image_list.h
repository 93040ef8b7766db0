// The pictures and the model that a command was given, and their features.
#pragma once

#include "vitrail/data/sources/dataset.h"
#include "vitrail/recipes/models/open_model.h"
#include "tools/commands/arguments.h"

#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {

struct NamedPictures {
  std::vector<std::string> names;  // as given, or as found in a folder
  std::unique_ptr<data::Dataset> dataset;
};

/// Which model, which pictures, how many at a time.
struct FeatureArguments {
  std::string model;
  std::vector<std::string> pictures;
  std::string list;
  std::string precision = "f32";
  int64_t batch = 16;

  void add_to(CLI::App& command);
  /// Throws as recipes::open_model; says on standard error what it had to assume.
  recipes::OpenModel open() const;
  /// Files, those of folders at any depth, those on the lines of the list or of standard input ("-"), in this order.
  /// Throws DataError if there are none or one is missing.
  NamedPictures named_pictures() const;
};

/// Features of the pictures in their order, of length 1 if normalised: f32 [N, D].
/// Throws IoError naming a picture that cannot be read.
Tensor features_of(const recipes::OpenModel& model, const data::Dataset& pictures, const FeatureArguments& arguments,
                   bool normalise, TerminalProgress& progress);

}  // namespace vitrail::tools
