#include "data/text/caption_table.h"

#include "core/error.h"
#include "core/file.h"

#include <algorithm>
#include <optional>

namespace vitrail::data {
namespace {

constexpr std::string_view kPathNames[] = {"path", "filepath", "image", "file", "filename"};
constexpr std::string_view kTextNames[] = {"caption", "title", "text", "sentence"};

/// Rows of a table in memory, one at a time. Fields are parts of the table, or of a buffer where quotes were undone.
class Rows {
 public:
  explicit Rows(std::string_view table) : rest_(table) {
    if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
    comma_ = rest_.substr(0, rest_.find('\n')).find('\t') == rest_.npos;
  }

  /// Reads the next row that is not empty; false at the end.
  bool next() {
    while (!rest_.empty()) {
      line_ = next_line_;
      fields_.clear();
      unquoted_.clear();
      if (comma_)
        read_commas();
      else
        split_tabs(take_line());
      if (fields_.size() != 1 || !fields_[0].empty()) return true;
    }
    return false;
  }
  const std::vector<std::string_view>& fields() const { return fields_; }
  int64_t line() const { return line_; }
  /// The row ends within a field in quotes.
  bool unclosed() const { return unclosed_; }
  /// The rest of the table as plain lines.
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

  /// One row of RFC 4180: a field in quotes may hold commas, line breaks and doubled quotes.
  void read_commas() {
    std::vector<std::string> fields(1);
    bool quoted = false;
    size_t i = 0;
    for (; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (c == '\n') ++next_line_;
      if (quoted && c == '"' && i + 1 < rest_.size() && rest_[i + 1] == '"') {
        fields.back().push_back(rest_[++i]);
      } else if (c == '"' && (quoted || fields.back().empty())) {
        quoted = !quoted;
      } else if (c == ',' && !quoted) {
        fields.emplace_back();
      } else if (c == '\n' && !quoted) {
        break;
      } else {
        fields.back().push_back(c);
      }
    }
    unclosed_ = quoted;
    rest_.remove_prefix(std::min(i + 1, rest_.size()));
    if (fields.back().ends_with('\r')) fields.back().pop_back();
    unquoted_ = std::move(fields);
    fields_.assign(unquoted_.begin(), unquoted_.end());
  }

  std::string_view rest_;
  bool comma_ = false, unclosed_ = false;
  int64_t line_ = 0, next_line_ = 1;
  std::vector<std::string_view> fields_;
  std::vector<std::string> unquoted_;
};

template <size_t N>
std::optional<size_t> find_column(const std::vector<std::string_view>& names, const std::string_view (&wanted)[N]) {
  for (std::string_view name : wanted) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end()) return size_t(found - names.begin());
  }
  return std::nullopt;
}

std::string joined(const std::vector<std::string_view>& names) {
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

constexpr int64_t kMostBytes = int64_t{1} << 36;

}  // namespace

std::vector<Caption> read_captions(const std::string& path) {
  const std::string table = read_file(path, kMostBytes);
  Rows rows(table);
  check<DataError>(rows.next(), "captions", "{}: is empty", path);
  const auto picture = find_column(rows.fields(), kPathNames), text = find_column(rows.fields(), kTextNames);
  check<DataError>(picture && text, "captions",
                   "{}: the first line must name the columns path and caption (or filepath and title, image and "
                   "caption); it has {}",
                   path, joined(rows.fields()));
  std::vector<Caption> captions;
  while (rows.next()) {
    const std::string_view caption = field(rows, *text, path);
    if (!caption.empty()) captions.push_back({std::string(field(rows, *picture, path)), std::string(caption)});
  }
  return captions;
}

void for_each_text(const std::string& path, const std::function<void(std::string_view)>& visit) {
  const std::string table = read_file(path, kMostBytes);
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
