// Images found by the names that a table gives them: members of archives, or files.
#pragma once

#include "vitrail/data/sources/dataset.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

/// Numbers images as it finds them, then hands them over as a Dataset.
class ImageList {
 public:
  virtual ~ImageList() = default;

  /// The number of the image with that name; nothing if there is none. Images are numbered as they are first found.
  virtual std::optional<int64_t> find(std::string_view name) = 0;
  /// For the message about a name that was not found: "FOLDER, where the nearest name is 'x'".
  virtual std::string instead_of(std::string_view name) const = 0;
  /// The images found, in the order of their numbers, unlabelled, with the notes. Must be the last call.
  virtual std::unique_ptr<Dataset> take(std::vector<std::string> notes) = 0;
};

/// Finds members of archives. Throws IoError as TarShards; find throws DataError for a name that is in two archives.
std::unique_ptr<ImageList> list_of_archives(const std::vector<std::string>& paths);

/// Finds files. Names are relative to folder, folder/images or folder/Images, whichever has the first name, or
/// absolute. A file outside of folder is not found, so that a table from elsewhere cannot reach the user's other files.
/// Links out of folder count as outside unless follow_symlinks.
std::unique_ptr<ImageList> list_of_files(const std::string& folder, bool follow_symlinks = false);

/// The name that shares the most letters with `wanted` at its beginning and end. Ties go to the nearest length, then to
/// the first. Empty if names is empty.
std::string_view most_like(std::string_view wanted, const std::vector<std::string_view>& names);

}  // namespace vitrail::data
