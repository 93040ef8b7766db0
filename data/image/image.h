// Image: 8-bit RGB pixels, and the one way into and out of JPEG, PNG and BMP files. Bytes from outside are untrusted:
// sizes are checked before decoding, memory is capped, and whatever is wrong is an IoError that says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
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
class Image {
 public:
  Image() = default;
  /// All black. Throws ShapeError for a negative size.
  Image(int64_t height, int64_t width);
  explicit Image(ImageSize size) : Image(size.height, size.width) {}

  int64_t height() const { return size_.height; }
  int64_t width() const { return size_.width; }
  ImageSize size() const { return size_; }
  bool empty() const { return pixels_.empty(); }

  std::span<uint8_t> pixels() { return pixels_; }
  std::span<const uint8_t> pixels() const { return pixels_; }
  uint8_t* data() { return pixels_.data(); }
  const uint8_t* data() const { return pixels_.data(); }
  /// The three bytes at row y, column x, not checked.
  uint8_t* at(int64_t y, int64_t x) { return data() + (y * width() + x) * 3; }
  const uint8_t* at(int64_t y, int64_t x) const { return data() + (y * width() + x) * 3; }

  bool operator==(const Image&) const = default;

 private:
  ImageSize size_;
  std::vector<uint8_t> pixels_;
};

/// Decodes a JPEG, PNG or BMP, upright as its EXIF orientation says.
///
/// Grey and palettes become RGB, alpha is dropped, 16 bits keep the upper 8, CMYK is converted.
/// Throws: IoError for other formats, files over 64 MiB, sides over 16384, over 2^26 pixels, and damaged or truncated
/// files, also those of which a part could be shown.
Image decode_image(std::span<const std::byte> file);
/// decode_image of a file; the error names the path.
Image read_image(const std::filesystem::path& path);
/// The size decode_image would give, from the header alone.
ImageSize image_size(std::span<const std::byte> file);

/// The bytes of a PNG file. Throws ShapeError for an empty image.
std::vector<std::byte> encode_png(const Image& image);
/// Writes encode_png's bytes durably.
void write_png(const std::filesystem::path& path, const Image& image);

}  // namespace vitrail::data
