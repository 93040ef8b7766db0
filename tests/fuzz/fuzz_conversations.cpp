// Reads any bytes as LLaVA's conversations and as a table of questions. Each turn alternates and each line number lies
// in the file, or the reader throws DataError or IoError.
#include "tests/fuzz/memory_file.h"
#include "vitrail/core/error.h"
#include "vitrail/data/sources/conversation_json.h"
#include "vitrail/data/sources/question_table.h"

#include <algorithm>
#include <cstdlib>

using namespace vitrail;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const fuzz::MemoryFile file(data, size);
  const int64_t lines = 1 + std::count(data, data + size, '\n');
  try {
    data::for_each_conversation(file.path(), [&](const data::JsonConversation& row) {
      if (row.line < 1 || row.line > lines) std::abort();
      data::check_turns(row.conversation, "fuzz");
      if (data::has_image(row.conversation) == row.image.empty()) std::abort();
    });
  } catch (const DataError&) {
  } catch (const IoError&) {
  }
  try {
    data::for_each_question(file.path(), [&](const data::Question& row) {
      if (row.question.empty() || row.answer.empty() || row.line < 2 || row.line > lines) std::abort();
    });
  } catch (const DataError&) {
  }
  return 0;
}
