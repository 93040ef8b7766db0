// Damage that stb_image would paint over: it fills what is missing of a JPEG or BMP with grey or black.
#pragma once

#include "vitrail/data/image/image.h"

#include <cstddef>
#include <span>

namespace vitrail::data {

/// The file is a JPEG without its end marker, or a BMP with fewer bytes than its pixels take. size: as in its header.
bool is_truncated(std::span<const std::byte> file, ImageSize size);

}  // namespace vitrail::data
