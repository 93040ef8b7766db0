// Tables of questions: an image, a question and its answer in each row.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace vitrail::data {

struct Question {
  std::string_view path;  // of the image, as written in the table; empty: the question needs none
  std::string_view question, answer;
  std::string_view family;  // the kind of question; empty if the table has no such column
  int64_t line = 0;         // of the table; the first is 1
};

/// Calls back for each row of a table as for_each_caption reads them. The question's column is named question, prompt
/// or statement; the answer's answer, label or response; an optional column family, type, answer_type, question_type or
/// kind gives the kind of question. Rows with a blank question or answer are skipped, and their number is returned.
/// Throws DataError naming the file, the line and the columns, or a line that is not UTF-8.
int64_t for_each_question(const std::string& path, const std::function<void(const Question&)>& visit);

}  // namespace vitrail::data
