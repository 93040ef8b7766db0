#include "vitrail/data/sources/caption_table.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/sources/table_rows.h"

namespace vitrail::data {
namespace {

constexpr std::string_view kTextNames[] = {"caption", "title", "text", "sentence"};
constexpr std::string_view kKindNames[] = {"kind"};

}  // namespace

int64_t for_each_caption(const std::string& path, const std::function<void(const Caption&)>& visit) {
  const MappedFile table(path);
  TableRows rows(table, path, "captions");
  check<DataError>(rows.next(), "captions", "{}: is empty", path);
  for (const std::string_view name : rows.fields()) rows.expect_utf8(name);
  const auto image = rows.find(kImageColumns), text = rows.find(kTextNames), kind = rows.find(kKindNames);
  check<DataError>(image && text, "captions",
                   "{}: the first line must name the columns path and caption (or filepath and title, image and "
                   "caption); it has {}",
                   path, rows.names());
  int64_t blank = 0;
  while (rows.next()) {
    Caption caption;
    caption.text = rows.field(*text);
    if (is_blank(caption.text)) {
      ++blank;
      continue;
    }
    rows.expect_utf8(caption.text);
    caption.path = rows.field(*image);
    if (kind) caption.kind = rows.field(*kind);
    caption.line = rows.line();
    visit(caption);
  }
  return blank;
}

void for_each_text(const std::string& path, const std::function<void(std::string_view)>& visit) {
  const MappedFile table(path);
  TableRows rows(table, path, "captions");
  if (!rows.next()) return;
  if (const auto text = rows.find(kTextNames)) {
    while (rows.next()) visit(rows.field(*text));
    return;
  }
  TableRows lines(table, path, "captions");
  while (const auto line = lines.next_plain()) visit(*line);
}

}  // namespace vitrail::data
