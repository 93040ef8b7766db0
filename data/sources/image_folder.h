// Images in folders, at any depth. The first folder below the root is the class.
#pragma once

#include "vitrail/data/sources/dataset.h"
#include "vitrail/data/sources/path_labels.h"

namespace vitrail::data {

/// The .jpg, .jpeg, .png and .bmp files below root, sorted by the bytes of their paths. Files and folders whose names
/// begin with a dot are skipped. So are symbolic links, unless options.follow_symlinks.
///
/// The list of a large folder (2,000 files or more) is cached in $XDG_CACHE_HOME/vitrail (~/.cache/vitrail) until a
/// folder below root changes. A cache that cannot be read or written is ignored.
/// Throws IoError if a folder cannot be read; DataError if there are no images or folders make no classes.
std::unique_ptr<Dataset> open_image_folder(const std::string& root, const SourceOptions& options = {});

/// Images by file name, relative to root or absolute; an empty root is the current folder. A file is opened when its
/// image is read.
std::unique_ptr<Dataset> make_file_dataset(std::string root, std::vector<std::string> files, PathLabels labels);

}  // namespace vitrail::data
