// WebP files, by libwebp, where Vitrail was built with it: lossy and lossless, with alpha or without.
#pragma once

#include "vitrail/data/image/image.h"

#include <cstddef>
#include <span>
#include <string>

namespace vitrail::data {

/// Whether this build reads WebP files.
bool reads_webp();
/// "libwebp 1.2.4", "none".
std::string webp_decoder();

/// Whether bytes begin as a WebP does.
bool is_webp(std::span<const std::byte> bytes);

/// The size in the header. Throws IoError if the header is damaged, for an animation, and if reads_webp() is false.
ImageSize webp_size(std::span<const std::byte> file);

/// The image as stored, with its opacity if a pixel is not opaque; equal to Pillow's bytes. size: from the header.
/// Throws IoError for a damaged or truncated file; OutOfMemory.
Image decode_webp(std::span<const std::byte> file, ImageSize size);

/// The TIFF structure of the EXIF chunk; empty if there is none.
std::span<const std::byte> webp_exif(std::span<const std::byte> file);

}  // namespace vitrail::data
