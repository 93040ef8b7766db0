#include "vitrail/data/sources/question_table.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/sources/table_rows.h"

namespace vitrail::data {
namespace {

constexpr std::string_view kQuestionNames[] = {"question", "prompt", "statement"};
constexpr std::string_view kAnswerNames[] = {"answer", "label", "response"};
constexpr std::string_view kFamilyNames[] = {"family", "type", "answer_type", "question_type", "kind"};

}  // namespace

int64_t for_each_question(const std::string& path, const std::function<void(const Question&)>& visit) {
  const MappedFile table(path);
  TableRows rows(table, path, "questions");
  check<DataError>(rows.next(), "questions", "{}: is empty", path);
  for (const std::string_view name : rows.fields()) rows.expect_utf8(name);
  const auto image = rows.find(kImageColumns), question = rows.find(kQuestionNames), answer = rows.find(kAnswerNames);
  const auto family = rows.find(kFamilyNames);
  check<DataError>(image && question && answer, "questions",
                   "{}: the first line must name the columns path, question and answer (or image, prompt and label); "
                   "it has {}",
                   path, rows.names());
  int64_t blank = 0;
  while (rows.next()) {
    Question row;
    row.question = rows.field(*question);
    row.answer = rows.field(*answer);
    if (is_blank(row.question) || is_blank(row.answer)) {
      ++blank;
      continue;
    }
    row.path = rows.field(*image);
    if (family) row.family = rows.field(*family);
    for (const std::string_view text : {row.question, row.answer, row.family}) rows.expect_utf8(text);
    row.line = rows.line();
    visit(row);
  }
  return blank;
}

}  // namespace vitrail::data
