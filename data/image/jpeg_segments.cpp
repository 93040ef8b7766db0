#include "vitrail/data/image/jpeg_segments.h"

#include "vitrail/data/io/bytes.h"

#include <algorithm>
#include <string_view>

namespace vitrail::data {
namespace {

constexpr uint8_t kStart = 0xd8, kEnd = 0xd9, kApp1 = 0xe1, kTemporary = 0x01, kHuffmanTables = 0xc4;

bool is_restart(uint8_t marker) { return marker >= 0xd0 && marker <= 0xd7; }

bool starts_with(std::span<const std::byte> bytes, std::string_view prefix) {
  const auto head = std::as_bytes(std::span(prefix));
  return bytes.size() >= head.size() && std::equal(head.begin(), head.end(), bytes.begin());
}

// The offset of the next 0xff that opens a marker; the file's size if there is none.
size_t skip_to_marker(std::span<const std::byte> file, size_t at) {
  for (; at + 1 < file.size(); ++at) {
    const uint8_t next = uint8_t(file[at + 1]);
    if (uint8_t(file[at]) == 0xff && next != 0x00 && next != 0xff && !is_restart(next)) return at;
  }
  return file.size();
}

// Tables one after the other: a byte, how many codes there are of 1 to 16 bits, and a byte for each code.
bool has_bad_table(std::span<const std::byte> tables) {
  constexpr size_t kHeader = 17;
  while (!tables.empty()) {
    if (tables.size() < kHeader) return true;
    size_t codes = 0;
    for (const std::byte count : tables.subspan(1, kHeader - 1)) codes += size_t(count);
    if (codes > 256) return true;
    tables = tables.subspan(std::min(kHeader + codes, tables.size()));
  }
  return false;
}

}  // namespace

JpegOutline jpeg_outline(std::span<const std::byte> file) {
  using namespace std::string_view_literals;
  JpegOutline outline;
  outline.is_jpeg = read_uint(file, 0, 2, ByteOrder::big) == (0xff00u | kStart);
  if (!outline.is_jpeg) return outline;

  for (size_t at = 2; (at = skip_to_marker(file, at)) < file.size();) {
    const uint8_t marker = uint8_t(file[at + 1]);
    at += 2;
    if (marker == kEnd) {
      outline.has_end = true;
      return outline;
    }
    if (marker == kTemporary || marker == kStart) continue;
    const uint32_t length = read_uint(file, at, 2, ByteOrder::big).value_or(0);  // counts its own two bytes
    if (length < 2) return outline;
    const std::span<const std::byte> rest = file.subspan(at + 2),
                                     payload = rest.first(std::min<size_t>(length - 2, rest.size()));
    if (marker == kHuffmanTables && has_bad_table(payload)) outline.bad_table = true;
    if (payload.size() < length - 2) return outline;
    if (marker == kApp1 && outline.exif.empty() && starts_with(payload, "Exif\0\0"sv))
      outline.exif = payload.subspan(6);
    at += length;
  }
  return outline;
}

}  // namespace vitrail::data
