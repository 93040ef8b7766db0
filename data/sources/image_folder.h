// Images in folders, at any depth. The first folder below the root is the class.
#pragma once

#include "vitrail/data/sources/dataset.h"
#include "vitrail/data/sources/path_labels.h"

namespace vitrail::data {

/// The image files below root (is_image_name), sorted by the bytes of their paths. What is_passed_over
/// names is skipped. Files of other kinds are counted in notes(), and so are symbolic links unless
/// options.follow_symlinks.
///
/// The list of a large folder (2,000 files or more) is cached in $XDG_CACHE_HOME/vitrail (~/.cache/vitrail) until a
/// folder below root changes. A cache that cannot be read or written is ignored.
/// Throws IoError if a folder cannot be read; DataError if there are no images, if folders make no classes, or if a
/// class has files and no image.
std::unique_ptr<Dataset> open_image_folder(const std::string& root, const SourceOptions& options = {});

/// Images by file name, relative to root or absolute; an empty root is the current folder. A file is opened when its
/// image is read.
std::unique_ptr<Dataset> make_file_dataset(std::string root, std::vector<std::string> files, PathLabels labels,
                                           std::vector<std::string> notes = {});

}  // namespace vitrail::data
