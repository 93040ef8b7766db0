// Image files made smaller, for data that is read many times.
#pragma once

#include "vitrail/data/io/bytes.h"

#include <cstdint>

namespace vitrail::data {

enum class Shrunk {
  no,           // small enough as it is
  yes,          // made smaller
  transparent,  // left as it is: its opacity would be lost
};

/// Makes an image file smaller until the shorter side has `side` pixels, with the bicubic filter. A JPEG is written as
/// a JPEG of quality 95, turned upright; Files of other kinds become PNG. Never enlarges an image.
/// Throws IoError as decode_image.
Shrunk shrink_file(Bytes& file, int64_t side);

}  // namespace vitrail::data
