// Images that a table names and that are not there.
#pragma once

#include "vitrail/data/sources/image_list.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

/// Collects them while a table is read.
class MissingImages final {
 public:
  /// images and table, its path, outlive this. allowed: missing images are no error.
  MissingImages(const ImageList& images, const std::string& table, bool allowed)
      : images_(&images), table_(&table), allowed_(allowed) {}

  /// Notes that the table names an image that is not there, on that line.
  void add(std::string_view name, int64_t line);
  /// The names in the order of the table, repeated rows as one. Throws DataError with the line of the first one and the
  /// nearest name, unless missing images are allowed.
  std::vector<std::string> take(std::string_view op);

 private:
  const ImageList* images_;
  const std::string* table_;
  bool allowed_;
  std::string first_;  // the message about the first one
  std::vector<std::string> names_;
};

}  // namespace vitrail::data
