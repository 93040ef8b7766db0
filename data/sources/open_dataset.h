// Opens a dataset by its path, whatever the format.
#pragma once

#include "vitrail/data/sources/dataset.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

/// Opens the part of the data at path named split: "train", "val" or "test". Registered sources (register_source.h) are
/// asked first, then the formats of find_parts in source_parts.h.
///
/// If only one of "val" and "test" exists, it serves for both. Undivided data is "train", or "". A file classes.txt
/// beside the data, with a name on each line, gives the order of the labels. Without it, the other parts of folders and
/// archives take the classes of "train". Throws DataError that names the existing parts, or says what is wrong with the
/// files; IoError for damaged files.
std::unique_ptr<Dataset> open_dataset(const std::string& path, std::string_view split,
                                      const SourceOptions& options = {});

/// The parts of the data at path; undivided data is "train". An HDF5 file that may hold all parts is opened for them.
/// Throws DataError or IoError as open_dataset.
std::vector<std::string> dataset_splits(const std::string& path);

/// Whether the data at path, images with labels or captions, is surely one undivided part: open_dataset takes it as "".
/// An HDF5 file shows its parts only after opening it.
bool is_undivided(const std::string& path);

}  // namespace vitrail::data
