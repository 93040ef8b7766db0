#include "vitrail/data/image/png.h"

#include "vitrail/core/error.h"
#include "vitrail/data/image/damage.h"
#include "vitrail/data/io/bytes.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace vitrail::data {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n"sv;
constexpr size_t kPaletteEntry = 3;

uint32_t png_number(ByteSpan bytes, size_t offset, size_t count = 4) {
  return read_uint(bytes, offset, count, ByteOrder::big).value_or(0);
}

// ---- chunks ---------------------------------------------------------------------------------------------------------

struct PngChunk {
  std::string_view type;  // four letters
  ByteSpan data;
};

/// Chunks in order. Those that change the pixels have their checksums verified.
class PngChunks {
 public:
  explicit PngChunks(ByteSpan file) : file_(file) {}

  /// Throws IoError if the file ends before the chunk does.
  PngChunk next() {
    constexpr size_t kAround = 12;  // length, type and checksum
    const size_t left = file_.size() - at_;
    const uint32_t length = png_number(file_, at_);
    check<IoError>(left >= kAround && length <= left - kAround, "decode_image",
                   "the file is truncated: its end (the chunk IEND) is missing");
    const PngChunk chunk{{reinterpret_cast<const char*>(file_.data()) + at_ + 4, 4}, file_.subspan(at_ + 8, length)};
    const auto letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
    check_undamaged(std::all_of(chunk.type.begin(), chunk.type.end(), letter), "byte {} should begin a chunk", at_);
    const bool critical = chunk.type[0] >= 'A' && chunk.type[0] <= 'Z';
    if (critical || chunk.type == "tRNS") {
      const uLong sum = crc32(0, reinterpret_cast<const Bytef*>(file_.data()) + at_ + 4, uInt(length + 4));
      check_undamaged(sum == png_number(file_, at_ + 8 + length),
                      "the checksum (CRC) of its chunk {} at byte {} is wrong", chunk.type, at_);
    }
    at_ += kAround + length;
    return chunk;
  }

 private:
  ByteSpan file_;
  size_t at_ = kSignature.size();
};

enum class PngColor : uint8_t { grey = 0, rgb = 2, palette = 3, grey_alpha = 4, rgba = 6 };

struct PngHeader {
  ImageSize size;
  int depth = 8;
  PngColor color = PngColor::rgb;
  bool interlaced = false;

  int64_t channels() const {
    switch (color) {
      case PngColor::rgb:
        return 3;
      case PngColor::grey_alpha:
        return 2;
      case PngColor::rgba:
        return 4;
      default:
        return 1;
    }
  }
  /// Bytes of so many pixels, without the byte that names the filter.
  int64_t row_bytes(int64_t pixels) const { return (pixels * channels() * depth + 7) / 8; }
  /// The distance to the pixel on the left, for filters.
  int64_t pixel_bytes() const { return std::max<int64_t>(1, channels() * depth / 8); }
};

/// Whether PNG has the colour type with so many bits a sample.
bool is_known(PngColor color, int depth) {
  const bool small = depth == 1 || depth == 2 || depth == 4;
  switch (color) {
    case PngColor::grey:
      return small || depth == 8 || depth == 16;
    case PngColor::palette:
      return small || depth == 8;
    case PngColor::rgb:
    case PngColor::grey_alpha:
    case PngColor::rgba:
      return depth == 8 || depth == 16;
  }
  return false;
}

PngHeader parse_header(const PngChunk& chunk) {
  check<IoError>(chunk.type != "CgBI", "decode_image",
                 "the file is in Apple's own form of PNG (CgBI), which is not read; save it as an ordinary PNG");
  check_undamaged(chunk.type == "IHDR" && chunk.data.size() == 13, "its header (the chunk IHDR) is missing");
  const ByteSpan data = chunk.data;
  PngHeader header;
  header.size = {int64_t(png_number(data, 4)), int64_t(png_number(data, 0))};
  header.depth = int(data[8]);
  const int color = int(data[9]), interlace = int(data[12]);
  header.color = PngColor(color);
  header.interlaced = interlace == 1;
  check_undamaged(is_known(header.color, header.depth),
                  "its header has the colour type {} with {} bits, which PNG does not have", color, header.depth);
  check_undamaged(data[10] == std::byte{0} && data[11] == std::byte{0} && interlace <= 1,
                  "its header names an unknown compression, filter or interlacing");
  return header;
}

struct PngParts {
  PngHeader header;
  ByteSpan palette{};            // three bytes a colour
  ByteSpan transparency{};       // the chunk tRNS
  std::vector<ByteSpan> data{};  // one compressed stream
};

PngParts read_parts(ByteSpan file) {
  PngChunks chunks(file);
  PngParts parts{.header = parse_header(chunks.next())};
  const bool has_palette = parts.header.color == PngColor::palette;
  for (PngChunk chunk = chunks.next(); chunk.type != "IEND"; chunk = chunks.next()) {
    if (chunk.type == "IDAT") {
      parts.data.push_back(chunk.data);
    } else if (chunk.type == "PLTE") {
      check_undamaged(chunk.data.size() % kPaletteEntry == 0 && chunk.data.size() <= 256 * kPaletteEntry,
                      "its palette has {} bytes", chunk.data.size());
      parts.palette = chunk.data;
    } else if (chunk.type == "tRNS") {
      check_undamaged(parts.data.empty(), "its transparency (the chunk tRNS) comes after the pixels");
      parts.transparency = chunk.data;
    } else {
      check_undamaged(chunk.type[0] >= 'a', "the chunk {} is unknown", chunk.type);
    }
  }
  check_undamaged(!parts.data.empty(), "it has no pixels (no chunk IDAT)");
  check_undamaged(!has_palette || !parts.palette.empty(), "it has no palette (no chunk PLTE)");
  const size_t colors = parts.palette.size() / kPaletteEntry;
  const size_t transparent = parts.transparency.size();
  const bool fits = has_palette ? transparent <= colors
                                : transparent == 2 * size_t(parts.header.channels()) &&
                                      (parts.header.color == PngColor::grey || parts.header.color == PngColor::rgb);
  check_undamaged(transparent == 0 || fits, "its transparency (the chunk tRNS) has {} bytes", transparent);
  return parts;
}

// ---- the stream -----------------------------------------------------------------------------------------------------

/// zlib's inflate state, freed on every exit.
class PngInflater final {
 public:
  PngInflater() { check<OutOfMemory>(inflateInit(&stream) == Z_OK, "decode_image", "zlib does not start"); }
  ~PngInflater() { inflateEnd(&stream); }
  PngInflater(const PngInflater&) = delete;
  PngInflater& operator=(const PngInflater&) = delete;

  z_stream stream{};
};

using PngBytes =
    std::unique_ptr<uint8_t[]>;  // not initialised: memory that a short stream does not fill stays untouched

/// The stream's first `size` bytes. The stream must be whole, down to its checksum.
PngBytes inflate_pixels(const std::vector<ByteSpan>& parts, int64_t size) {
  constexpr int64_t kMostExtra = 1 << 16;    // bytes after the pixels: some writers leave zeros there
  constexpr int64_t kMostCompressed = 1032;  // deflate's limit
  int64_t compressed = 0;
  for (const ByteSpan& part : parts) compressed += int64_t(part.size());
  check_undamaged(size / kMostCompressed <= compressed, "its pixels end too early");

  PngBytes pixels(new uint8_t[size_t(size)]);
  std::vector<uint8_t> beyond;
  PngInflater inflater;
  z_stream& z = inflater.stream;
  int64_t filled = 0;
  int status = Z_OK;
  for (size_t i = 0; i < parts.size() && status != Z_STREAM_END; ++i) {
    z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(parts[i].data()));
    z.avail_in = uInt(parts[i].size());
    while (z.avail_in > 0 && status != Z_STREAM_END) {
      if (filled >= size) beyond.resize(size_t(kMostExtra));
      const int64_t room = filled < size ? size - filled : kMostExtra;
      z.next_out = filled < size ? pixels.get() + filled : beyond.data();
      z.avail_out = uInt(room);
      status = inflate(&z, Z_NO_FLUSH);
      filled += room - int64_t(z.avail_out);
      check_undamaged(filled < size + kMostExtra, "it has more pixels than its header says");
      check_undamaged(status != Z_DATA_ERROR || z.total_in > 2, "the header of its compressed pixels is wrong");
      check_undamaged(!z.msg || z.msg != "incorrect data check"sv, "the checksum (Adler-32) of its pixels is wrong");
      check_undamaged(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR,
                      "its compressed pixels are invalid after {} of {} bytes", filled, size);
    }
  }
  check_undamaged(filled >= size && status == Z_STREAM_END, "its pixels end after {} of {} bytes", filled, size);
  return pixels;
}

// ---- rows -----------------------------------------------------------------------------------------------------------

uint8_t paeth(int left, int up, int corner) {
  const int by_left = std::abs(up - corner), by_up = std::abs(left - corner),
            by_corner = std::abs(left + up - 2 * corner);
  if (by_left <= by_up && by_left <= by_corner) return uint8_t(left);
  return uint8_t(by_up <= by_corner ? up : corner);
}

/// Undoes the filter of a row in place. above: the row before it, undone.
void unfilter(int filter, uint8_t* row, const uint8_t* above, int64_t bytes, int64_t pixel) {
  const int64_t head = std::min(pixel, bytes);  // without a pixel on the left
  switch (filter) {
    case 0:
      return;
    case 1:
      for (int64_t i = head; i < bytes; ++i) row[i] = uint8_t(row[i] + row[i - pixel]);
      return;
    case 2:
      for (int64_t i = 0; i < bytes; ++i) row[i] = uint8_t(row[i] + above[i]);
      return;
    case 3:
      for (int64_t i = 0; i < head; ++i) row[i] = uint8_t(row[i] + above[i] / 2);
      for (int64_t i = head; i < bytes; ++i) row[i] = uint8_t(row[i] + (row[i - pixel] + above[i]) / 2);
      return;
    case 4:
      for (int64_t i = 0; i < head; ++i) row[i] = uint8_t(row[i] + above[i]);
      for (int64_t i = head; i < bytes; ++i)
        row[i] = uint8_t(row[i] + paeth(row[i - pixel], above[i], above[i - pixel]));
      return;
    default:
      check_undamaged(false, "a row has the filter {}; PNG has 0 to 4", filter);
  }
}

/// Samples 0 .. count-1 of a row, at their full depth.
void unpack(const uint8_t* row, int depth, int64_t count, uint16_t* samples) {
  if (depth == 8) {
    std::copy_n(row, count, samples);
  } else if (depth == 16) {
    for (int64_t i = 0; i < count; ++i) samples[i] = uint16_t(row[2 * i] << 8 | row[2 * i + 1]);
  } else {
    for (int64_t i = 0; i < count; ++i)
      samples[i] = uint16_t(row[i * depth / 8] >> (8 - depth - i * depth % 8) & ((1 << depth) - 1));
  }
}

struct PngPixel {
  uint8_t red = 0, green = 0, blue = 0, opacity = 255;
};

/// What the samples of a pixel mean.
class PngMeaning {
 public:
  explicit PngMeaning(const PngParts& parts) : color_(parts.header.color), depth_(parts.header.depth) {
    const ByteSpan palette = parts.palette, transparency = parts.transparency;
    if (color_ == PngColor::palette) {
      for (size_t i = 0; i < palette.size() / kPaletteEntry; ++i) {
        const ByteSpan entry = palette.subspan(i * kPaletteEntry, kPaletteEntry);
        palette_.push_back({uint8_t(entry[0]), uint8_t(entry[1]), uint8_t(entry[2]),
                            i < transparency.size() ? uint8_t(transparency[i]) : uint8_t{255}});
      }
    } else {
      has_clear_ = !transparency.empty();
      for (size_t i = 0; i < transparency.size() / 2; ++i) clear_[i] = uint16_t(png_number(transparency, 2 * i, 2));
    }
  }

  bool can_be_transparent() const {
    return color_ == PngColor::grey_alpha || color_ == PngColor::rgba || has_clear_ ||
           std::any_of(palette_.begin(), palette_.end(), [](const PngPixel& p) { return p.opacity < 255; });
  }
  PngPixel of(const uint16_t* s) const {
    switch (color_) {
      case PngColor::palette:
        check_undamaged(s[0] < palette_.size(), "a pixel has colour {} of a palette of {}", s[0], palette_.size());
        return palette_[s[0]];
      case PngColor::grey:
      case PngColor::grey_alpha: {
        const uint8_t grey = to_byte(s[0]);
        return {grey, grey, grey, color_ == PngColor::grey ? opacity_of(s, 1) : to_byte(s[1])};
      }
      default:
        return {to_byte(s[0]), to_byte(s[1]), to_byte(s[2]),
                color_ == PngColor::rgb ? opacity_of(s, 3) : to_byte(s[3])};
    }
  }

 private:
  uint8_t to_byte(uint16_t sample) const {
    if (depth_ == 16) return uint8_t(sample >> 8);
    return uint8_t(sample * (255 / ((1 << depth_) - 1)));
  }
  /// One colour is transparent, and nothing else.
  uint8_t opacity_of(const uint16_t* s, size_t channels) const {
    return has_clear_ && std::equal(s, s + channels, clear_.begin()) ? 0 : 255;
  }

  PngColor color_;
  int depth_;
  std::vector<PngPixel> palette_;
  bool has_clear_ = false;
  std::array<uint16_t, 3> clear_{};
};

/// A pass over the image: the pixels at left + i * step_x, top + j * step_y.
struct PngPass {
  int64_t left, top, step_x, step_y;

  ImageSize size(ImageSize image) const {
    return {(image.height - top + step_y - 1) / step_y, (image.width - left + step_x - 1) / step_x};
  }
};

std::span<const PngPass> png_passes(const PngHeader& header) {
  static constexpr PngPass kOne[] = {{0, 0, 1, 1}};
  static constexpr PngPass kAdam7[] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                       {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
  if (header.interlaced) return kAdam7;
  return kOne;
}

int64_t stream_bytes(const PngHeader& header) {
  int64_t bytes = 0;
  for (const PngPass& pass : png_passes(header)) {
    const ImageSize size = pass.size(header.size);
    if (size.width > 0) bytes += size.height * (1 + header.row_bytes(size.width));
  }
  return bytes;
}

}  // namespace

bool is_png(std::span<const std::byte> bytes) { return starts_with(bytes, kSignature.substr(0, 4)); }

ImageSize png_size(std::span<const std::byte> file) {
  check_undamaged(starts_with(file, kSignature),
                  "its first 8 bytes are not those of a PNG; line ends may have been changed");
  return parse_header(PngChunks(file).next()).size;
}

Image decode_png(std::span<const std::byte> file) {
  check_undamaged(starts_with(file, kSignature), "it does not begin as a PNG");
  const PngParts parts = read_parts(file);
  const PngHeader& header = parts.header;
  const PngMeaning meaning(parts);
  const PngBytes stream = inflate_pixels(parts.data, stream_bytes(header));

  Image image(header.size);
  std::vector<uint8_t> opacity;
  if (meaning.can_be_transparent()) opacity.resize(size_t(header.size.height * header.size.width), 255);
  const bool plain = header.color == PngColor::rgb && header.depth == 8 && opacity.empty() && !header.interlaced;
  const std::vector<uint8_t> before(size_t(header.row_bytes(header.size.width)), 0);  // above the first row
  std::vector<uint16_t> samples(size_t(header.size.width * header.channels()));
  uint8_t* row = stream.get();
  for (const PngPass& pass : png_passes(header)) {
    const ImageSize size = pass.size(header.size);
    if (size.width <= 0) continue;
    const int64_t bytes = header.row_bytes(size.width);
    const uint8_t* above = before.data();
    for (int64_t j = 0; j < size.height; ++j, row += bytes) {
      const int filter = *row++;
      unfilter(filter, row, above, bytes, header.pixel_bytes());
      above = row;
      const int64_t y = pass.top + j * pass.step_y;
      if (plain) {
        std::copy_n(row, bytes, image.at(y, 0));
        continue;
      }
      unpack(row, header.depth, size.width * header.channels(), samples.data());
      for (int64_t i = 0; i < size.width; ++i) {
        const PngPixel pixel = meaning.of(samples.data() + i * header.channels());
        const int64_t x = pass.left + i * pass.step_x;
        uint8_t* to = image.at(y, x);
        to[0] = pixel.red;
        to[1] = pixel.green;
        to[2] = pixel.blue;
        if (!opacity.empty()) opacity[size_t(y * header.size.width + x)] = pixel.opacity;
      }
    }
  }
  if (std::any_of(opacity.begin(), opacity.end(), [](uint8_t o) { return o < 255; }))
    image.set_opacity(std::move(opacity));
  return image;
}

}  // namespace vitrail::data
