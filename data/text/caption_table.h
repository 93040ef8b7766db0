// Tables of captions: which picture has which text.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

struct Caption {
  std::string path;  // of the picture, as the table has it
  std::string text;
};

/// The rows of a table with a line of names on top: tab-separated without quoting, or comma-separated with fields in
/// double quotes where needed. The picture's column is called path, filepath, image, file or filename, the text's
/// caption, title, text or sentence. Other columns are passed over, as are rows without text.
/// Throws DataError naming the file, the line and the columns there are.
std::vector<Caption> read_captions(const std::string& path);

/// The texts alone. A file whose first line names no column of texts is plain text: each line of it is one.
void for_each_text(const std::string& path, const std::function<void(std::string_view text)>& visit);

}  // namespace vitrail::data
