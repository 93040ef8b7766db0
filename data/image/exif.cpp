#include "vitrail/data/image/exif.h"

#include "vitrail/data/image/jpeg_segments.h"
#include "vitrail/data/image/webp.h"
#include "vitrail/data/io/bytes.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace vitrail::data {
namespace {

constexpr uint32_t kOrientationTag = 0x0112, kShortType = 3;
constexpr size_t kEntryBytes = 12;

}  // namespace

int tiff_orientation(std::span<const std::byte> tiff) {
  const uint32_t mark = read_uint(tiff, 0, 2, ByteOrder::big).value_or(0);
  if (mark != 0x4949 && mark != 0x4d4d) return 1;  // "II" or "MM"
  const ByteOrder order = mark == 0x4949 ? ByteOrder::little : ByteOrder::big;
  if (read_uint(tiff, 2, 2, order) != 42u) return 1;

  const size_t directory = read_uint(tiff, 4, 4, order).value_or(0);
  const size_t entries = read_uint(tiff, directory, 2, order).value_or(0);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + i * kEntryBytes;
    const auto tag = read_uint(tiff, entry, 2, order);
    if (!tag) return 1;
    if (*tag != kOrientationTag) continue;
    const uint32_t value = read_uint(tiff, entry + 8, 2, order).value_or(1);
    const bool valid = read_uint(tiff, entry + 2, 2, order) == kShortType && value >= 1 && value <= 8;
    return valid ? int(value) : 1;
  }
  return 1;
}

int exif_orientation(std::span<const std::byte> file) {
  return tiff_orientation(is_webp(file) ? webp_exif(file) : jpeg_exif(file));
}

ReversedSides reversed_sides(int orientation) {
  return {.rows = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7,
          .columns = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8};
}

Image upright(Image stored, int orientation) {
  if (orientation <= 1 || orientation > 8) return stored;
  const auto [from_bottom, from_right] = reversed_sides(orientation);
  const bool transposed = swaps_sides(orientation);
  const int64_t height = stored.height(), width = stored.width();
  const auto stored_opacity = stored.opacity();

  Image image = transposed ? Image(width, height) : Image(height, width);
  std::vector<uint8_t> opacity;
  opacity.reserve(stored_opacity.size());
  for (int64_t y = 0; y < image.height(); ++y) {
    for (int64_t x = 0; x < image.width(); ++x) {
      int64_t row = transposed ? x : y, column = transposed ? y : x;
      if (from_bottom) row = height - 1 - row;
      if (from_right) column = width - 1 - column;
      std::copy_n(stored.at(row, column), 3, image.at(y, x));
      if (!stored_opacity.empty()) opacity.push_back(stored_opacity[size_t(row * width + column)]);
    }
  }
  image.set_opacity(std::move(opacity));
  return image;
}

}  // namespace vitrail::data
