// Image: 8-bit RGB pixels in memory, perhaps with transparency. codec.h reads and writes image files.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vitrail::data {

struct ImageSize {
  int64_t height = 0;
  int64_t width = 0;
  bool operator==(const ImageSize&) const = default;
};
/// "480 x 640": height x width.
std::string to_string(ImageSize size);

/// [height, width, 3] bytes, row by row, red green blue. A value: copies copy the pixels.
///
/// An image that was decoded with transparent pixels keeps their opacity beside the colours, until background.h puts a
/// colour behind it. Everything else works on the colours alone, so its results are opaque.
class Image {
 public:
  Image() = default;
  /// All black. Throws ShapeError for a negative size.
  Image(int64_t height, int64_t width);
  explicit Image(ImageSize size) : Image(size.height, size.width) {}

  /// The size in pixels; an empty image has no pixels.
  int64_t height() const { return size_.height; }
  int64_t width() const { return size_.width; }
  ImageSize size() const { return size_; }
  bool empty() const { return pixels_.empty(); }

  /// height * width * 3 bytes.
  std::span<uint8_t> pixels() { return pixels_; }
  std::span<const uint8_t> pixels() const { return pixels_; }
  uint8_t* data() { return pixels_.data(); }
  const uint8_t* data() const { return pixels_.data(); }
  /// The three bytes at row y, column x, not checked.
  uint8_t* at(int64_t y, int64_t x) { return data() + (y * width() + x) * 3; }
  const uint8_t* at(int64_t y, int64_t x) const { return data() + (y * width() + x) * 3; }

  /// height * width bytes, 255: opaque. Empty if all pixels are opaque.
  std::span<const uint8_t> opacity() const { return opacity_; }
  /// Throws ShapeError unless there is one byte for each pixel, or none.
  void set_opacity(std::vector<uint8_t> opacity);

  bool operator==(const Image&) const = default;

 private:
  ImageSize size_;
  std::vector<uint8_t> pixels_;
  std::vector<uint8_t> opacity_;
};

}  // namespace vitrail::data
