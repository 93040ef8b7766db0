// What the first bytes of a file say about its kind, and the damage in BMP files that stb_image does not notice.
#pragma once

#include "vitrail/data/image/image.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace vitrail::data {

/// The kinds that this build reads, with a word before the last: "JPEG, PNG, BMP and WebP".
std::string image_kinds(std::string_view word);

/// The kind of a file that is not read as an image, with its article: "a GIF", "gzip-compressed". Empty if unknown.
std::string_view foreign_kind(std::span<const std::byte> file);

/// Whether bytes begin as a BMP does.
bool is_bmp(std::span<const std::byte> bytes);
/// Whether a BMP has fewer bytes than its pixels need; stb_image fills them with black. size: from its header.
bool is_truncated_bmp(std::span<const std::byte> file, ImageSize size);
/// Whether the header names an alpha channel. In a BMP of 32 bits without one, the fourth byte means nothing.
bool has_alpha_bmp(std::span<const std::byte> file);

}  // namespace vitrail::data
