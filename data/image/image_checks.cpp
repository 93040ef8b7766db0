#include "vitrail/data/image/image_checks.h"

#include "vitrail/data/image/damage.h"
#include "vitrail/data/image/webp.h"
#include "vitrail/data/io/bytes.h"

namespace vitrail::data {
namespace {

using namespace std::string_view_literals;

constexpr uint32_t kOldHeaderBytes = 12;  // OS/2; all later headers share one layout
constexpr size_t kBmpInfo = 14;           // offset of that header
constexpr size_t kBmpPixelOffset = 10;    // where the offset of the pixels is noted

struct ForeignKind {
  std::string_view name;
  size_t offset;
  std::string_view bytes;
};
constexpr ForeignKind kForeignKinds[] = {
    {"gzip-compressed", 0, "\x1f\x8b"sv},
    {"a GIF", 0, "GIF8"sv},
    {"a TIFF", 0, "II*\0"sv},
    {"a TIFF", 0, "MM\0*"sv},
    {"an AVIF", 4, "ftypavif"sv},
    {"a HEIC", 4, "ftyphei"sv},
    {"a HEIC", 4, "ftypmif1"sv},
    {"a JPEG XL", 0, "\xff\x0a"sv},
    {"a JPEG XL", 4, "JXL "sv},
    {"a JPEG 2000", 4, "jP  "sv},
    {"a PDF", 0, "%PDF"sv},
    {"a ZIP archive", 0, "PK\x03\x04"sv},
    {"a web page", 0, "<!DOCTYPE"sv},
    {"a web page", 0, "<html"sv},
    {"an XML file (SVG?)", 0, "<?xml"sv},
    {"an SVG", 0, "<svg"sv},
    {"a pointer of Git LFS to a file that was not downloaded", 0, "version https://git-lfs"sv}};

}  // namespace

std::string image_kinds(std::string_view word) {
  const std::string before = " " + std::string(word) + " ";
  return reads_webp() ? "JPEG, PNG, BMP" + before + "WebP" : "JPEG, PNG" + before + "BMP";
}

std::string_view foreign_kind(std::span<const std::byte> file) {
  for (const ForeignKind& kind : kForeignKinds)
    if (file.size() >= kind.offset && starts_with(file.subspan(kind.offset), kind.bytes)) return kind.name;
  return {};
}

bool is_bmp(std::span<const std::byte> bytes) { return read_uint(bytes, 0, 2, ByteOrder::big) == 0x424du; }  // "BM"

bool is_truncated_bmp(std::span<const std::byte> file, ImageSize size) {
  const uint32_t header = read_uint(file, kBmpInfo, 4, ByteOrder::little).value_or(0);
  const size_t depth_offset = kBmpInfo + (header == kOldHeaderBytes ? 10 : 14);
  const auto pixels = read_uint(file, kBmpPixelOffset, 4, ByteOrder::little);
  const auto depth = read_uint(file, depth_offset, 2, ByteOrder::little);
  if (!pixels || !depth) return true;
  const int64_t row_bytes = (size.width * int64_t{*depth} + 31) / 32 * 4;
  return int64_t{*pixels} + row_bytes * size.height > int64_t(file.size());
}

bool has_alpha_bmp(std::span<const std::byte> file) {
  constexpr uint32_t kFirstWithAlpha = 56, kBitFields = 3;
  const auto word = [&](size_t offset) { return read_uint(file, kBmpInfo + offset, 4, ByteOrder::little).value_or(0); };
  return word(0) >= kFirstWithAlpha && word(16) == kBitFields && word(52) != 0;
}

}  // namespace vitrail::data
