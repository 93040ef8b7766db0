// Damage in JPEG files. stb_image shows a part that is missing as grey, and a component without tables as flat. So the
// full check reads all codes of all scans, as a decoder does, but makes no pixels. libjpeg-turbo notices damage in the
// codes by itself. It needs only a check of the headers, before it decodes. If it fails, the full check names the
// damage.
//
// A JPEG has no checksum: a changed byte that still reads as codes for the right number of blocks cannot be noticed.
#pragma once

#include "vitrail/data/image/image.h"

#include <cstddef>
#include <span>

namespace vitrail::data {

/// The size in the frame header, before orientation. Throws IoError if there is none, or for a kind of JPEG that is not
/// read: arithmetic coding, 12 bits, lossless, hierarchical.
ImageSize jpeg_size(std::span<const std::byte> file);

/// Throws IoError that says what is damaged unless all of the image is there: each component has its quantisation and
/// Huffman tables, its scans hold the codes of every block, and together they give every coefficient at full precision.
/// Returns how many bytes it checked: those before the end marker, or before the point where the file breaks off after
/// its last scan. A decoder must read no more: bytes after the end marker mean nothing (an MPO holds a second image
/// there), nor does a segment that is cut short.
size_t check_jpeg(std::span<const std::byte> file);
/// The same without the codes of the scans: tables, headers, and whether the scans together give every coefficient. If
/// one scan holds the whole image, nothing behind its header is looked at, and the result is the file's size.
size_t check_jpeg_headers(std::span<const std::byte> file);

}  // namespace vitrail::data
