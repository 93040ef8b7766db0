// Images picked out by name, as tables name them: members of archives, or files.
#pragma once

#include "vitrail/data/sources/dataset.h"

#include <optional>
#include <string_view>

namespace vitrail::data {

class ImageList {
 public:
  virtual ~ImageList() = default;

  /// The number of the image of that name, in the order of first asking; nothing if there is no such image.
  virtual std::optional<int64_t> find(std::string_view name) = 0;
  /// For the message about a name that was not found: "FOLDER, where the nearest name is 'x'".
  virtual std::string instead_of(std::string_view name) const = 0;
  /// The images found, by their numbers, unlabelled. The last call.
  virtual std::unique_ptr<Dataset> take() = 0;
};

/// Names are members' names. Throws IoError as TarShards; find throws DataError for a name that is in two archives.
std::unique_ptr<ImageList> list_of_archives(const std::vector<std::string>& paths);

/// Names are absolute, or relative to folder or to a folder images or Images in it, whichever has the first of them.
std::unique_ptr<ImageList> list_of_files(const std::string& folder);

/// Of the names there are the one that shares most letters at its beginning and end with the one wanted; of equals the
/// one nearest in length, then the first. Empty if there are none.
std::string_view most_like(std::string_view wanted, const std::vector<std::string_view>& names);

}  // namespace vitrail::data
