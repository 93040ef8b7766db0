// The outline of a JPEG file: its marker segments, and whether it is complete. Nothing is decoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vitrail::data {

struct JpegOutline {
  bool is_jpeg = false;             // opens with the start marker
  bool has_end = false;             // the end marker follows the segments and scans
  std::span<const std::byte> exif;  // the TIFF structure of the first EXIF segment; empty if there is none
  bool bad_table = false;           // Huffman tables that do not fill their segment, or of more than 256 codes
};

/// Walks the markers. Takes any bytes, in linear time.
JpegOutline jpeg_outline(std::span<const std::byte> file);

}  // namespace vitrail::data
