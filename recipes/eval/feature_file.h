// Features of named things in files: HDF5 (which is also an index to search), NPY, CSV.
#pragma once

#include "vitrail/core/tensor.h"

#include <filesystem>
#include <string>
#include <vector>

namespace vitrail::recipes {

struct NamedFeatures {
  std::vector<std::string> names;  // paths of images
  Tensor features;                 // f32 [N, D]
  std::string model;               // that made them
};

/// Throws ConfigError if write_features does not know the ending of path: to be asked before hours of work.
void check_feature_file(const std::filesystem::path& path);

/// Durably, by the ending of path:
///   .h5 .hdf5  sealed, with feature f32 [N, D]; name u8, all names one after another, and name_offset i64 [N + 1];
///              attribute model
///   .npy       NumPy's array f32 [N, D]; the names go into a file beside it that ends in .txt, one a line; a line that
///              begins with a backslash has escapes, as sha256sum writes names with line breaks
///   .csv       a line of column names, then name and numbers of each
/// Throws: ConfigError for another ending; NumericError naming the row that is not finite; IoError if it cannot be
/// written.
void write_features(const std::filesystem::path& path, const NamedFeatures& features);

/// An HDF5 file that write_features made. Throws IoError for any other, NumericError for features that are not finite.
NamedFeatures read_features(const std::filesystem::path& path);

}  // namespace vitrail::recipes
