// Tables of captions: an image and a text in each row.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace vitrail::data {

struct Caption {
  std::string_view path;  // of the image, as written in the table
  std::string_view text;
  std::string_view kind;  // empty if the table has no such column
  int64_t line = 0;       // of the table; the first is 1
};

/// Calls back for each row of a table whose first line names the columns. Fields are separated by tabs or by commas. A
/// field in double quotes may hold separators, line breaks and doubled quotes; between tabs, quotes that do not enclose
/// the whole field are text. The image's column is named path, filepath, image, file or filename; the text's column
/// caption, title, text or sentence; an optional column kind gives the kind of text. Other columns are skipped, and so
/// are rows with a blank text, whose number it returns. The views in a Caption are valid only during the call. Throws
/// DataError naming the file, the line and the columns, or a line that is not UTF-8.
int64_t for_each_caption(const std::string& path, const std::function<void(const Caption&)>& visit);

/// Reads the texts alone. If the first line names no column of texts, every line of the file is a text.
void for_each_text(const std::string& path, const std::function<void(std::string_view text)>& visit);

}  // namespace vitrail::data
