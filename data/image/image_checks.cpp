#include "vitrail/data/image/image_checks.h"

#include "vitrail/data/image/jpeg_segments.h"
#include "vitrail/data/io/bytes.h"

namespace vitrail::data {
namespace {

constexpr uint32_t kBmpMark = 0x424d;     // "BM"
constexpr uint32_t kOldHeaderBytes = 12;  // OS/2; all later headers share one layout
constexpr size_t kBmpInfo = 14;           // offset of that header
constexpr size_t kBmpPixelOffset = 10;    // where the offset of the pixels is noted

bool is_truncated_bmp(std::span<const std::byte> file, ImageSize size) {
  const uint32_t header = read_uint(file, kBmpInfo, 4, ByteOrder::little).value_or(0);
  const size_t depth_offset = kBmpInfo + (header == kOldHeaderBytes ? 10 : 14);
  const auto pixels = read_uint(file, kBmpPixelOffset, 4, ByteOrder::little);
  const auto depth = read_uint(file, depth_offset, 2, ByteOrder::little);
  if (!pixels || !depth) return true;
  const int64_t row_bytes = (size.width * int64_t{*depth} + 31) / 32 * 4;
  return int64_t{*pixels} + row_bytes * size.height > int64_t(file.size());
}

}  // namespace

bool is_truncated(std::span<const std::byte> file, ImageSize size) {
  if (const JpegOutline jpeg = jpeg_outline(file); jpeg.is_jpeg) return !jpeg.has_end;
  return read_uint(file, 0, 2, ByteOrder::big) == kBmpMark && is_truncated_bmp(file, size);
}

}  // namespace vitrail::data
