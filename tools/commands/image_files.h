// The image files that a command is asked for.
#pragma once

#include "tools/commands/skip_option.h"

#include <string>
#include <vector>

namespace vitrail::tools {

/// Adds the file at `path`, or the images of the folder there, at any depth. Prints what it passes over in a folder.
/// Throws DataError if nothing is there, unless broken images are skipped: it is then one of them.
void add_images(std::vector<std::string>& names, const std::string& path, const SkipOption& skip,
                bool follow_symlinks = false);

}  // namespace vitrail::tools
