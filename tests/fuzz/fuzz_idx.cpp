// Reads any bytes as an IDX file, plain or gzipped. The reader returns an array no larger than the header says or
// throws IoError.
#include "tests/fuzz/memory_file.h"
#include "vitrail/core/error.h"
#include "vitrail/data/sources/idx.h"

#include <cstdlib>

using namespace vitrail;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const fuzz::MemoryFile file(data, size);
  try {
    const Tensor array = data::read_idx(file.path());
    if (array.numel() == 0 || array.rank() < 1 || array.rank() > 4) std::abort();
    const auto set = data::open_idx(file.path(), "");
    if (set->get(set->size() - 1).image.empty()) std::abort();
  } catch (const IoError&) {
  } catch (const DataError&) {
  }
  return 0;
}
