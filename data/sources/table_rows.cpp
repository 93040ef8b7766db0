#include "vitrail/data/sources/table_rows.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/json.h"

#include <algorithm>
#include <utility>

namespace vitrail::data {

TableRows::TableRows(const MappedFile& table, std::string path, std::string_view op)
    : path_(std::move(path)),
      op_(op),
      rest_(reinterpret_cast<const char*>(table.bytes().data()), table.bytes().size()) {
  if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
  comma_ = rest_.substr(0, rest_.find('\n')).find('\t') == rest_.npos;
}

bool TableRows::next() {
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

std::string_view TableRows::field(size_t column) const {
  check<DataError>(!unclosed_, op_, "{}:{}: a field begins with \" and has no end", path_, line_);
  check<DataError>(column < fields_.size(), op_, "{}:{}: has {} columns, the first line has {} or more", path_, line_,
                   fields_.size(), column + 1);
  return fields_[column];
}

std::optional<size_t> TableRows::find(std::span<const std::string_view> names) const {
  for (const std::string_view name : names) {
    const auto found = std::find(fields_.begin(), fields_.end(), name);
    if (found != fields_.end()) return size_t(found - fields_.begin());
  }
  return std::nullopt;
}

std::string TableRows::names() const {
  std::string text;
  for (const std::string_view name : fields_) text += (text.empty() ? "" : ", ") + std::string(name.substr(0, 40));
  return text;
}

void TableRows::expect_utf8(std::string_view text) const {
  check<DataError>(is_utf8(text), op_,
                   "{}:{}: is not UTF-8; convert the table, as in iconv -f ENCODING -t utf-8 (latin1, utf-16, ...)",
                   path_, line_);
}

std::optional<std::string_view> TableRows::next_plain() {
  if (rest_.empty()) return std::nullopt;
  return take_line();
}

std::string_view TableRows::take_line() {
  const size_t end = std::min(rest_.find('\n'), rest_.size());
  std::string_view line = rest_.substr(0, end);
  rest_.remove_prefix(std::min(end + 1, rest_.size()));
  ++next_line_;
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

void TableRows::split_tabs(std::string_view line) {
  for (size_t begin = 0;;) {
    const size_t end = std::min(line.find('\t', begin), line.size());
    fields_.push_back(line.substr(begin, end - begin));
    if (end == line.size()) return;
    begin = end + 1;
  }
}

/// Whether the quote at the begin of a field has its partner at the field's end.
bool TableRows::encloses(size_t begin, char separator) const {
  for (size_t end = begin + 1; (end = rest_.find('"', end)) != rest_.npos; end += 2) {
    const std::string_view behind = rest_.substr(end + 1, 2);
    if (behind.starts_with('"')) continue;
    return behind.empty() || behind[0] == separator || behind[0] == '\n' || behind == "\r\n" || behind == "\r";
  }
  return false;
}

/// One row of RFC 4180: a field in quotes may hold separators, line breaks and doubled quotes. Tables with tabs are
/// often written without quoting, so there a quote counts only if it encloses the field.
void TableRows::read_quoted(char separator) {
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

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

}  // namespace vitrail::data
