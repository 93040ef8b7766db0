// Tables of captions: which image has which text.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace vitrail::data {

struct Caption {
  std::string_view path;  // of the image, as the table has it
  std::string_view text;
  std::string_view kind;  // empty if the table has no such column
  int64_t line = 0;       // of the table; the first is 1
};

/// The rows of a table with a line of names on top: tab-separated without quoting, or comma-separated with fields in
/// double quotes where needed. The image's column is called path, filepath, image, file or filename, the text's
/// caption, title, text or sentence; a column kind says what sort of text it is. Other columns are passed over, as are
/// rows whose text is empty or blank. A caption's views hold during its call only.
/// Throws DataError naming the file, the line and the columns there are.
void for_each_caption(const std::string& path, const std::function<void(const Caption&)>& visit);

/// The texts alone. A file whose first line names no column of texts is plain text: each line of it is one.
void for_each_text(const std::string& path, const std::function<void(std::string_view text)>& visit);

}  // namespace vitrail::data
