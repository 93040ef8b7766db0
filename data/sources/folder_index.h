// The list of image files below a folder, and its cache on disk.
#pragma once

#include "vitrail/data/sources/unread_files.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace vitrail::data {

struct FolderIndex {
  std::vector<std::string> files;                        // relative to the root, sorted by bytes
  std::vector<std::pair<std::string, int64_t>> folders;  // every folder walked, relative, and its change time in ns
  UnreadFiles unread;                                    // files of other kinds, and links that were not followed
};

/// Walks the folders. Throws IoError if one cannot be read.
FolderIndex scan_folder(const std::string& root, bool follow_symlinks);

/// scan_folder, or its cached result if no folder has changed since.
FolderIndex index_folder(const std::string& root, bool follow_symlinks);

/// The cache file of root; empty if there is no folder for caches.
std::string index_cache_path(const std::string& root, bool follow_symlinks);

}  // namespace vitrail::data
