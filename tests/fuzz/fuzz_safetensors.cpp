// Reads any bytes as a safetensors file. The reader accepts the header or throws IoError.
#include "vitrail/core/error.h"
#include "vitrail/core/io/safetensors.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto header = vitrail::safetensors::parse_header(std::as_bytes(std::span(data, size)), "fuzz");
    for (const auto& item : header.tensors)
      if (item.second.begin < 8 || item.second.end < item.second.begin || item.second.end > int64_t(size)) std::abort();
  } catch (const vitrail::IoError&) {
  }
  return 0;
}
