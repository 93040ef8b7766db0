// Rows of tables with tabs or commas between their fields, one at a time; and their columns by name.
#pragma once

#include "vitrail/core/io/file.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

/// The names of the column that names images.
inline constexpr std::string_view kImageColumns[] = {"path", "filepath", "image", "file", "filename"};

/// Fields are views of the table, or of buffers that hold the text without its quotes: valid until the next row. Tabs
/// separate them if the first line has one, else commas. A field in double quotes may hold separators, line breaks and
/// doubled quotes; between tabs, quotes that do not enclose the whole field are text. op: begins the messages.
class TableRows final {
 public:
  /// table must outlive this. path: for messages.
  TableRows(const MappedFile& table, std::string path, std::string_view op);

  /// Reads the next row that is not empty; false at the end.
  bool next();
  /// The fields of the row, and the line of the table where it begins; the first is 1.
  const std::vector<std::string_view>& fields() const { return fields_; }
  int64_t line() const { return line_; }
  /// One field of the row. Throws DataError naming the line if the row is too short, or ends inside a quoted field.
  std::string_view field(size_t column) const;
  /// The column with one of the names, the first name first; nothing if the row has none.
  std::optional<size_t> find(std::span<const std::string_view> names) const;
  /// The fields of the row for messages: "path, caption".
  std::string names() const;
  /// Throws DataError naming the line if a text of the row is not UTF-8.
  void expect_utf8(std::string_view text) const;
  /// Reads the rest of the table as plain lines, one at a time.
  std::optional<std::string_view> next_plain();

 private:
  std::string_view take_line();
  void split_tabs(std::string_view line);
  bool encloses(size_t begin, char separator) const;
  void read_quoted(char separator);

  std::string path_;
  std::string_view op_, rest_;
  bool comma_ = false, unclosed_ = false;
  int64_t line_ = 0, next_line_ = 1;
  std::vector<std::string_view> fields_;
  std::vector<std::string> unquoted_;  // kept from row to row to reuse their memory
};

/// Whether a text has nothing but spaces, tabs and line breaks.
bool is_blank(std::string_view text);

}  // namespace vitrail::data
