#include "vitrail/data/image/jpeg_segments.h"

#include "vitrail/data/image/damage.h"
#include "vitrail/data/io/bytes.h"

#include <cstring>
#include <string_view>

namespace vitrail::data {
namespace {

constexpr uint8_t kTemporary = 0x01;

bool is_restart(uint8_t marker) { return marker >= 0xd0 && marker <= 0xd7; }

/// Markers without a length.
bool stands_alone(uint8_t marker) {
  return marker == jpeg_marker::kStart || marker == jpeg_marker::kEnd || marker == kTemporary;
}

// The offset of the next 0xff that opens a segment; the file's size if there is none.
size_t skip_to_marker(std::span<const std::byte> file, size_t at) {
  while (at + 1 < file.size()) {
    const void* found = std::memchr(file.data() + at, 0xff, file.size() - 1 - at);
    if (!found) break;
    at = size_t(static_cast<const std::byte*>(found) - file.data());
    const uint8_t next = uint8_t(file[at + 1]);
    if (next != 0x00 && next != 0xff && !is_restart(next)) return at;
    ++at;
  }
  return file.size();
}

}  // namespace

bool is_jpeg(std::span<const std::byte> bytes) {
  return read_uint(bytes, 0, 2, ByteOrder::big) == (0xff00u | jpeg_marker::kStart);
}

std::optional<JpegSegment> next_segment(std::span<const std::byte> file, size_t at) {
  at = skip_to_marker(file, at);
  if (at >= file.size()) return std::nullopt;
  const uint8_t marker = uint8_t(file[at + 1]);
  at += 2;
  if (stands_alone(marker)) return JpegSegment{marker, {}, at};
  const uint32_t length = read_uint(file, at, 2, ByteOrder::big).value_or(0);  // counts its own two bytes
  if (length < 2 || length > file.size() - at) return std::nullopt;
  return JpegSegment{marker, file.subspan(at + 2, length - 2), at + length};
}

size_t scan_end(std::span<const std::byte> file, size_t at) { return skip_to_marker(file, at); }

std::span<const std::byte> jpeg_exif(std::span<const std::byte> file) {
  using namespace std::string_view_literals;
  if (!is_jpeg(file)) return {};
  for (size_t at = 2;;) {
    const auto segment = next_segment(file, at);
    if (!segment || segment->marker == jpeg_marker::kScan || segment->marker == jpeg_marker::kEnd) return {};
    if (segment->marker == jpeg_marker::kApp1 && starts_with(segment->payload, "Exif\0\0"sv))
      return segment->payload.subspan(6);
    at = segment->end;
  }
}

}  // namespace vitrail::data
