// A format of images that a program adds to the ones that open_dataset knows.
#pragma once

#include "vitrail/data/sources/dataset.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

struct DatasetSource {
  std::string name;  // for messages
  /// Whether this source opens `path`, which need not exist as a file: "shapes:1000" may be one.
  std::function<bool(const std::string& path)> recognises;
  /// Opens the part named split, one of `splits`. Throws DataError or IoError for data that it cannot open.
  std::function<std::unique_ptr<Dataset>(const std::string& path, std::string_view split, const SourceOptions&)> open;
  std::vector<std::string> splits{"train", "val"};
};

/// From now on open_dataset, and with it `data.root` of every recipe, opens what the source recognises. Registered
/// sources come before the built-in formats, the first registered first. Call it from main() before anything is opened.
/// Throws ConfigError if the name is taken, or if a function is missing.
void register_source(DatasetSource source);

/// The registered source that recognises path, or null.
const DatasetSource* find_source(const std::string& path);

}  // namespace vitrail::data
