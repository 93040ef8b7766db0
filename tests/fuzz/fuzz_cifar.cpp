// Reads any bytes as a CIFAR-10 and a CIFAR-100 file. The reader returns whole images with valid labels or throws
// IoError.
#include "tests/fuzz/memory_file.h"
#include "vitrail/core/error.h"
#include "vitrail/data/sources/cifar.h"

#include <cstdlib>

using namespace vitrail;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const fuzz::MemoryFile file(data, size);
  for (const auto kind : {data::CifarKind::cifar10, data::CifarKind::cifar100}) {
    try {
      const auto set = data::open_cifar({file.path()}, kind);
      for (int64_t i = 0; i < set->size(); ++i) {
        const data::Sample sample = set->get(i);
        if (sample.image.size() != data::ImageSize{32, 32}) std::abort();
        if (sample.label < 0 || sample.label >= int64_t(set->classes().size())) std::abort();
      }
    } catch (const IoError&) {
    }
  }
  return 0;
}
