// The orientation of a photograph, from the EXIF part of a JPEG or a WebP. The reader takes any bytes and never leaves
// the span. It returns "upright" for a file that it cannot read.
#pragma once

#include "vitrail/data/image/image.h"

#include <cstddef>
#include <span>

namespace vitrail::data {

/// How the stored image is turned or mirrored: 1 (upright) to 8, as TIFF 6.0 numbers them. 1 if the file is neither,
/// has no EXIF part, or the part is damaged.
int exif_orientation(std::span<const std::byte> file);
/// The orientation from the TIFF structure inside the EXIF segment.
int tiff_orientation(std::span<const std::byte> tiff);

/// Orientations 5 to 8 exchange height and width.
inline bool swaps_sides(int orientation) { return orientation >= 5; }
/// Whether an upright image shows the rows and the columns of the stored one from the last to the first.
struct ReversedSides {
  bool rows, columns;
};
ReversedSides reversed_sides(int orientation);
/// Turns a stored image upright, and its opacity.
Image upright(Image stored, int orientation);

}  // namespace vitrail::data
