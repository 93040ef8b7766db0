// Finds truncated files. stb_image does not: it fills the missing part of a JPEG or BMP with grey or black.
#pragma once

#include "vitrail/data/image/image.h"

#include <cstddef>
#include <span>

namespace vitrail::data {

/// Whether the file is a JPEG without its end marker, or a BMP with fewer bytes than its pixels need. size: from its
/// header.
bool is_truncated(std::span<const std::byte> file, ImageSize size);

}  // namespace vitrail::data
