#include "vitrail/data/sources/caption_table.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/json.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace vitrail::data {
namespace {

constexpr std::string_view kPathNames[] = {"path", "filepath", "image", "file", "filename"};
constexpr std::string_view kTextNames[] = {"caption", "title", "text", "sentence"};
constexpr std::string_view kKindNames[] = {"kind"};

/// Rows of a table, one at a time. Fields are views of the table, or of buffers that hold the text without its quotes.
class Rows {
 public:
  explicit Rows(const MappedFile& table)
      : rest_(reinterpret_cast<const char*>(table.bytes().data()), table.bytes().size()) {
    if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
    comma_ = rest_.substr(0, rest_.find('\n')).find('\t') == rest_.npos;
  }

  /// Reads the next row that is not empty; false at the end.
  bool next() {
    while (!rest_.empty()) {
      line_ = next_line_;
      fields_.clear();
      if (comma_ || rest_.substr(0, rest_.find('\n')).find('"') != rest_.npos)
        read_quoted(comma_ ? ',' : '\t');
      else
        split_tabs(take_line());
      if (fields_.size() != 1 || !fields_[0].empty()) return true;
    }
    return false;
  }
  const std::vector<std::string_view>& fields() const { return fields_; }
  int64_t line() const { return line_; }
  /// Whether the row ended inside a quoted field.
  bool unclosed() const { return unclosed_; }
  /// Reads the rest of the table as plain lines, one at a time.
  std::optional<std::string_view> next_plain() {
    if (rest_.empty()) return std::nullopt;
    return take_line();
  }

 private:
  std::string_view take_line() {
    const size_t end = std::min(rest_.find('\n'), rest_.size());
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    ++next_line_;
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }

  void split_tabs(std::string_view line) {
    for (size_t begin = 0;;) {
      const size_t end = std::min(line.find('\t', begin), line.size());
      fields_.push_back(line.substr(begin, end - begin));
      if (end == line.size()) return;
      begin = end + 1;
    }
  }

  /// Whether the quote at the begin of a field has its partner at the field's end.
  bool encloses(size_t begin, char separator) const {
    for (size_t end = begin + 1; (end = rest_.find('"', end)) != rest_.npos; end += 2) {
      const std::string_view behind = rest_.substr(end + 1, 2);
      if (behind.starts_with('"')) continue;
      return behind.empty() || behind[0] == separator || behind[0] == '\n' || behind == "\r\n" || behind == "\r";
    }
    return false;
  }

  /// One row of RFC 4180: a field in quotes may hold separators, line breaks and doubled quotes. Tables with tabs are
  /// often written without quoting, so there a quote counts only if it encloses the field.
  void read_quoted(char separator) {
    size_t count = 0;
    const auto begin_field = [&] {
      if (count == unquoted_.size()) unquoted_.emplace_back();
      unquoted_[count].clear();
      return &unquoted_[count++];
    };
    std::string* field = begin_field();
    bool quoted = false;
    size_t i = 0;
    for (; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (c == '\n') ++next_line_;
      if (quoted && c == '"' && i + 1 < rest_.size() && rest_[i + 1] == '"') {
        field->push_back(rest_[++i]);
      } else if (c == '"' && (quoted || (field->empty() && (separator == ',' || encloses(i, separator))))) {
        quoted = !quoted;
      } else if (c == separator && !quoted) {
        field = begin_field();
      } else if (c == '\n' && !quoted) {
        break;
      } else {
        field->push_back(c);
      }
    }
    unclosed_ = quoted;
    rest_.remove_prefix(std::min(i + 1, rest_.size()));
    if (field->ends_with('\r')) field->pop_back();
    fields_.assign(unquoted_.begin(), unquoted_.begin() + int64_t(count));
  }

  std::string_view rest_;
  bool comma_ = false, unclosed_ = false;
  int64_t line_ = 0, next_line_ = 1;
  std::vector<std::string_view> fields_;
  std::vector<std::string> unquoted_;  // kept from row to row to reuse their memory
};

template <size_t N>
std::optional<size_t> find_column(const std::vector<std::string_view>& names, const std::string_view (&wanted)[N]) {
  for (std::string_view name : wanted) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end()) return size_t(found - names.begin());
  }
  return std::nullopt;
}

std::string column_names(const std::vector<std::string_view>& names) {
  std::string text;
  for (std::string_view name : names) text += (text.empty() ? "" : ", ") + std::string(name.substr(0, 40));
  return text;
}

std::string_view field(const Rows& rows, size_t column, const std::string& path) {
  check<DataError>(!rows.unclosed(), "captions", "{}:{}: a field begins with \" and has no end", path, rows.line());
  check<DataError>(column < rows.fields().size(), "captions", "{}:{}: has {} columns, the first line has {} or more",
                   path, rows.line(), rows.fields().size(), column + 1);
  return rows.fields()[column];
}

void expect_utf8(std::string_view text, const std::string& path, int64_t line) {
  check<DataError>(is_utf8(text), "captions",
                   "{}:{}: is not UTF-8; convert the table, as in iconv -f ENCODING -t utf-8 (latin1, utf-16, ...)",
                   path, line);
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

}  // namespace

int64_t for_each_caption(const std::string& path, const std::function<void(const Caption&)>& visit) {
  const MappedFile table(path);
  Rows rows(table);
  check<DataError>(rows.next(), "captions", "{}: is empty", path);
  for (const std::string_view name : rows.fields()) expect_utf8(name, path, rows.line());
  const auto image = find_column(rows.fields(), kPathNames), text = find_column(rows.fields(), kTextNames);
  const auto kind = find_column(rows.fields(), kKindNames);
  check<DataError>(image && text, "captions",
                   "{}: the first line must name the columns path and caption (or filepath and title, image and "
                   "caption); it has {}",
                   path, column_names(rows.fields()));
  int64_t blank = 0;
  while (rows.next()) {
    Caption caption;
    caption.text = field(rows, *text, path);
    if (is_blank(caption.text)) {
      ++blank;
      continue;
    }
    expect_utf8(caption.text, path, rows.line());
    caption.path = field(rows, *image, path);
    if (kind) caption.kind = field(rows, *kind, path);
    caption.line = rows.line();
    visit(caption);
  }
  return blank;
}

void for_each_text(const std::string& path, const std::function<void(std::string_view)>& visit) {
  const MappedFile table(path);
  Rows rows(table);
  if (!rows.next()) return;
  if (const auto text = find_column(rows.fields(), kTextNames)) {
    while (rows.next()) visit(field(rows, *text, path));
    return;
  }
  Rows lines(table);
  while (const auto line = lines.next_plain()) visit(*line);
}

}  // namespace vitrail::data
