// The one way in for recipes: a path, and which part of the data is wanted.
#pragma once

#include "vitrail/data/sources/dataset.h"

#include <string_view>

namespace vitrail::data {

/// Finds out what lies at path (see find_parts) and opens the part named split: "train", "val" or "test".
///
/// "val" and "test" stand for each other where only one is there. Data that is not divided is all "train". A file
/// classes.txt beside the data (a name a line) gives the order of labels; without one, the other parts of folders and
/// archives take the classes of "train".
/// Throws DataError naming the parts there are, or what is wrong with the files; IoError for damaged ones.
std::unique_ptr<Dataset> open_dataset(const std::string& path, std::string_view split,
                                      const SourceOptions& options = {});

/// The parts that there are at path; data that is not divided is "train". None for an HDF5 file not named after a part,
/// which has to be opened to know.
/// Throws DataError as open_dataset.
std::vector<std::string> dataset_splits(const std::string& path);

}  // namespace vitrail::data
