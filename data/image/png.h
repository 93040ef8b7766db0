// PNG files, read with zlib. All kinds: grey, colour and palettes of 1 to 16 bits, with alpha or without, interlaced.
#pragma once

#include "vitrail/data/image/image.h"

#include <cstddef>
#include <span>

namespace vitrail::data {

/// Whether bytes begin as a PNG does.
bool is_png(std::span<const std::byte> bytes);

/// The size in the header. Throws IoError if the header is damaged.
ImageSize png_size(std::span<const std::byte> file);

/// The image, with its opacity if a pixel is not opaque: from the alpha channel, the palette's, or the one colour that
/// is transparent. 16 bits keep the upper 8.
///
/// Throws IoError that says what is damaged: the checksums of the chunks that matter and of the pixels, a palette that
/// lacks a colour, a missing end. Chunks that do not change the pixels are not checked.
Image decode_png(std::span<const std::byte> file);

}  // namespace vitrail::data
