// Labels from paths: the class of an image is the first folder of its path ("cat/0042.jpg" is a cat).
#pragma once

#include "vitrail/data/sources/dataset.h"

#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

struct PathLabels {
  /// The label of path number index; kNoLabel without labels. Throws std::out_of_range.
  int64_t of(int64_t index) const { return labels.empty() ? kNoLabel : labels.at(size_t(index)); }

  std::vector<std::string> classes;
  std::vector<int64_t> labels;  // one for each path; empty if unlabelled
};

/// The classes and labels of relative paths. There are none if options say so, or if no path has a folder.
/// Throws DataError naming source if only some paths have one, if a folder is not among options.classes, or if the
/// first folders are no classes: all images lie in one of them, which holds the class folders; they are parts (train,
/// val); or they hold parts.
PathLabels labels_from_paths(const std::vector<std::string_view>& paths, const SourceOptions& options,
                             const std::string& source);

}  // namespace vitrail::data
