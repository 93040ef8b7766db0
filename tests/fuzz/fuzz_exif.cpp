// Reads the orientation from any bytes, as a JPEG file and as the TIFF structure inside one. The result is always
// valid.
#include "vitrail/data/image/exif.h"

#include <cstdlib>

using namespace vitrail;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  for (const int orientation : {data::exif_orientation(bytes), data::tiff_orientation(bytes)})
    if (orientation < 1 || orientation > 8) std::abort();
  return 0;
}
