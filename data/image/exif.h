// Which way up a photograph is: the orientation a camera notes in the EXIF part of a JPEG. The reader is bounded by the
// bytes it is given and takes any bytes; what it cannot make sense of is "upright".
#pragma once

#include "vitrail/data/image/image.h"

#include <cstddef>
#include <span>

namespace vitrail::data {

/// How the stored image is turned or mirrored: 1 (upright) to 8, as TIFF 6.0 numbers them. 1 if the file is no JPEG,
/// has no EXIF part, or the part is damaged.
int exif_orientation(std::span<const std::byte> file);
/// The same for the TIFF structure inside the EXIF segment.
int tiff_orientation(std::span<const std::byte> tiff);

/// Orientations 5 to 8 exchange height and width.
inline bool swaps_sides(int orientation) { return orientation >= 5; }
/// The image as the photographer saw it.
Image upright(Image stored, int orientation);

}  // namespace vitrail::data
