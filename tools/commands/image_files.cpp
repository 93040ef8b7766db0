#include "tools/commands/image_files.h"

#include "vitrail/core/error.h"
#include "vitrail/data/sources/folder_index.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <system_error>

namespace vitrail::tools {

namespace fs = std::filesystem;

void add_images(std::vector<std::string>& names, const std::string& path, const SkipOption& skip,
                bool follow_symlinks) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) {
    const data::FolderIndex index = data::index_folder(path, follow_symlinks);
    for (const std::string& note : data::unread_notes(index.unread, path)) fmt::print(stderr, "note: {}\n", note);
    for (const std::string& file : index.files) names.push_back((fs::path(path) / file).string());
    return;
  }
  const bool missing = status.type() == fs::file_type::not_found;
  check<DataError>(skip.skips() || fs::exists(status), "images", "{}: {}; --on-error skip leaves out such images", path,
                   missing ? "no such file or folder" : error.message());
  names.push_back(path);
}

}  // namespace vitrail::tools
