// The marker segments of a JPEG file. Nothing is decoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace vitrail::data {

/// Markers with a segment of their own meaning; JpegSegment::marker is one of them or another.
namespace jpeg_marker {
inline constexpr uint8_t kStart = 0xd8, kEnd = 0xd9, kScan = 0xda, kQuantization = 0xdb, kRestartInterval = 0xdd,
                         kHuffman = 0xc4, kApp1 = 0xe1;
}

struct JpegSegment {
  uint8_t marker = 0;
  std::span<const std::byte> payload;  // without the marker and the length
  size_t end = 0;                      // offset of the byte after the segment
};

/// Whether bytes begin with the start marker.
bool is_jpeg(std::span<const std::byte> bytes);

/// The first segment at or after offset `at`. Bytes that belong to no segment are passed over: the data of a scan, with
/// its restart markers, and fill bytes. Nothing if none follows, or if the file ends inside it.
std::optional<JpegSegment> next_segment(std::span<const std::byte> file, size_t at);

/// Where the data of a scan that begins at offset `at` ends: the next marker that is no restart marker, or the file's
/// end.
size_t scan_end(std::span<const std::byte> file, size_t at);

/// The TIFF structure of the first EXIF segment before the first scan; empty if there is none, or no JPEG.
std::span<const std::byte> jpeg_exif(std::span<const std::byte> file);

}  // namespace vitrail::data
