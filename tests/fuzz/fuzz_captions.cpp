// Reads any bytes as a table of captions. Each row has a text and a line number within the table, or the reader throws
// DataError. Reads them as plain texts too.
#include "tests/fuzz/memory_file.h"
#include "vitrail/core/error.h"
#include "vitrail/data/sources/caption_table.h"

#include <algorithm>
#include <cstdlib>

using namespace vitrail;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const fuzz::MemoryFile file(data, size);
  const int64_t lines = 1 + std::count(data, data + size, '\n');
  size_t bytes = 0;
  try {
    data::for_each_caption(file.path(), [&](const data::Caption& caption) {
      if (caption.text.empty() || caption.line < 2 || caption.line > lines) std::abort();
      bytes += caption.path.size() + caption.text.size() + caption.kind.size();
    });
  } catch (const DataError&) {
  }
  if (bytes > size) std::abort();  // no byte belongs to two fields
  try {
    data::for_each_text(file.path(), [&](std::string_view text) { bytes += text.size(); });
  } catch (const DataError&) {
  }
  return 0;
}
