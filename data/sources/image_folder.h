// Images in folders, at any depth. The first folder below the root is the class.
#pragma once

#include "vitrail/data/sources/dataset.h"
#include "vitrail/data/sources/path_labels.h"

namespace vitrail::data {

/// The .jpg, .jpeg, .png and .bmp files below root, sorted by the bytes of their paths. Files and folders whose names
/// begin with a dot are passed over, as are symbolic links unless options.follow_symlinks.
///
/// The list of a large folder (2,000 files or more) is kept in $XDG_CACHE_HOME/vitrail (~/.cache/vitrail) and used
/// again while no folder below root has changed; a cache that cannot be read or written is done without.
/// Throws IoError if a folder cannot be read; DataError if there are no images or folders make no classes.
std::unique_ptr<Dataset> open_image_folder(const std::string& root, const SourceOptions& options = {});

/// The image files named, relative to root or absolute. They are opened when they are read.
std::unique_ptr<Dataset> make_file_dataset(std::string root, std::vector<std::string> files, PathLabels labels);

}  // namespace vitrail::data
