#include "vitrail/data/image/codec.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/image/exif.h"
#include "vitrail/data/image/image_checks.h"
#include "vitrail/data/image/jpeg_check.h"
#include "vitrail/data/image/jpeg_segments.h"
#include "vitrail/data/image/jpeg_turbo.h"
#include "vitrail/data/image/png.h"
#include "vitrail/data/image/webp.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

// Bytes that stb_image may still allocate on this thread; decode_image() sets it. Each block starts with its own size.
thread_local int64_t budget = 0;
constexpr size_t kBlockHeader = alignof(std::max_align_t);

void budget_free(void* p) {
  if (!p) return;
  std::byte* block = static_cast<std::byte*>(p) - kBlockHeader;
  int64_t size;
  std::memcpy(&size, block, sizeof size);
  budget += size;
  std::free(block);
}

void* budget_malloc(size_t size) {
  if (int64_t(size) < 0 || int64_t(size) > budget) return nullptr;
  // Zeroed, because a damaged file can make stb_image read bytes that it has not written.
  std::byte* block = static_cast<std::byte*>(std::calloc(1, size + kBlockHeader));
  if (!block) return nullptr;
  const int64_t taken = int64_t(size);
  std::memcpy(block, &taken, sizeof taken);
  budget -= taken;
  return block + kBlockHeader;
}

}  // namespace

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MAX_DIMENSIONS 16384
#define STBI_ASSERT(condition) static_cast<void>(0)  // odd Huffman tables fail one, harmlessly
#define STBI_MALLOC budget_malloc
#define STBI_REALLOC_SIZED(p, old_size, new_size) nullptr  // for PNG, which png.cpp reads
#define STBI_FREE budget_free
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>

namespace vitrail::data {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{64} << 20;
constexpr int64_t kMaxPixels = int64_t{1} << 26;
constexpr int64_t kMaxSide = STBI_MAX_DIMENSIONS;

const stbi_uc* stb_bytes(std::span<const std::byte> file) { return reinterpret_cast<const stbi_uc*>(file.data()); }

[[noreturn]] void fail_unknown(std::span<const std::byte> file) {
  const std::string_view kind = foreign_kind(file);
  if (kind.empty()) fail<IoError>("decode_image", "the file is not a {}", image_kinds("or"));
  const bool packed = kind.starts_with("gzip");
  fail<IoError>("decode_image", "the file is {}, not a {}; {}", kind, image_kinds("or"),
                packed ? "unpack it with gunzip" : "convert it to one of them");
}

ImageSize bmp_size(std::span<const std::byte> file) {
  budget = int64_t{1} << 20;
  int width = 0, height = 0, channels = 0;
  check<IoError>(stbi_info_from_memory(stb_bytes(file), int(file.size()), &width, &height, &channels), "decode_image",
                 "the file is a BMP with a damaged header, or of a kind that is not read: compressed (RLE), or with a "
                 "side over {}",
                 kMaxSide);
  return {height, width};
}

// The size as stored, before orientation.
ImageSize stored_size(std::span<const std::byte> file) {
  check<IoError>(!file.empty(), "decode_image", "the file is empty");
  check<IoError>(int64_t(file.size()) <= kMaxFileBytes, "decode_image", "the file has {} bytes, more than {}",
                 file.size(), kMaxFileBytes);
  ImageSize size;
  if (is_png(file))
    size = png_size(file);
  else if (is_jpeg(file))
    size = jpeg_size(file);
  else if (is_bmp(file))
    size = bmp_size(file);
  else if (is_webp(file))
    size = webp_size(file);
  else
    fail_unknown(file);
  check<IoError>(size.width > 0 && size.height > 0, "decode_image", "the image is {}", size);
  check<IoError>(size.width <= kMaxSide && size.height <= kMaxSide, "decode_image",
                 "the header declares a side over {}: {}", kMaxSide, size);
  check<IoError>(size.height * size.width <= kMaxPixels, "decode_image", "the image is {}, more than {} pixels", size,
                 kMaxPixels);
  return size;
}

// channels: 3, or 4 with opacity.
Image decode_by_stb(std::span<const std::byte> file, ImageSize size, int channels) {
  // Enough for all stages of any kind.
  budget = (int64_t{16} << 20) + 4 * int64_t(file.size()) + 32 * size.height * size.width;
  int width = 0, height = 0, unused = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(stb_bytes(file), int(file.size()), &width, &height, &unused, channels), budget_free);
  check<IoError>(pixels != nullptr, "decode_image",
                 "the file is damaged: its pixels cannot be decoded, though its parts look whole");
  check<IoError>(width == size.width && height == size.height, "decode_image",
                 "the header says {}, the image is {} x {}", size, height, width);
  Image image(size);
  if (channels == 3) {
    std::memcpy(image.data(), pixels.get(), image.pixels().size());
    return image;
  }
  std::vector<uint8_t> opacity(size_t(size.height * size.width));
  const stbi_uc* from = pixels.get();
  uint8_t* to = image.data();
  for (uint8_t& o : opacity) {
    to = std::copy_n(from, 3, to);
    o = from[3];
    from += 4;
  }
  if (std::any_of(opacity.begin(), opacity.end(), [](uint8_t o) { return o < 255; }))
    image.set_opacity(std::move(opacity));
  return image;
}

Image decode_jpeg_by_stb(std::span<const std::byte> file, ImageSize size) {
  // stb_image must read no unchecked byte, and wants the end marker, which may be missing.
  const auto checked = file.first(check_jpeg(file));
  std::vector<std::byte> ended(checked.begin(), checked.end());
  ended.insert(ended.end(), {std::byte{0xff}, std::byte{jpeg_marker::kEnd}});
  return decode_by_stb(ended, size, 3);
}

/// Where [begin, begin + length) of a side of `all` pixels begins, counted from the other end if the side is reversed.
int64_t turned(int64_t begin, int64_t length, int64_t all, bool reversed) {
  return reversed ? all - begin - length : begin;
}

// The decoder's part of the image turned upright, with its place.
ImagePart upright_part(ImagePart stored, int orientation) {
  const auto [rows_reversed, columns_reversed] = reversed_sides(orientation);
  const int64_t d = stored.shrink;
  int64_t top = turned(stored.top, stored.pixels.height() * d, stored.whole.height, rows_reversed);
  int64_t left = turned(stored.left, stored.pixels.width() * d, stored.whole.width, columns_reversed);
  ImagePart part;
  part.whole = stored.whole;
  if (swaps_sides(orientation)) {
    std::swap(top, left);
    std::swap(part.whole.height, part.whole.width);
  }
  part.top = top;
  part.left = left;
  part.shrink = d;
  part.pixels = upright(std::move(stored.pixels), orientation);
  return part;
}

// box: of the upright image. size: as stored.
Box stored_box(Box box, ImageSize size, int orientation) {
  if (swaps_sides(orientation)) {
    std::swap(box.top, box.left);
    std::swap(box.height, box.width);
  }
  const auto [rows_reversed, columns_reversed] = reversed_sides(orientation);
  return {turned(box.top, box.height, size.height, rows_reversed),
          turned(box.left, box.width, size.width, columns_reversed), box.height, box.width};
}

// size: as stored, and so is the request.
ImagePart decode_jpeg(std::span<const std::byte> file, ImageSize size, const PartRequest& request) {
  if (testing::jpeg_decoder == JpegDecoder::turbo) return decode_by_turbo(file, size, request);
  return ImagePart(decode_jpeg_by_stb(file, size));
}

Image decode_bmp(std::span<const std::byte> file, ImageSize size) {
  check<IoError>(!is_truncated_bmp(file, size), "decode_image", "the file is truncated: its pixels end too early");
  return decode_by_stb(file, size, has_alpha_bmp(file) ? 4 : 3);
}

/// For the writers of stb_image_write; context is a std::vector<std::byte>.
void append_bytes(void* context, void* bytes, int count) {
  auto* out = static_cast<std::vector<std::byte>*>(context);
  out->insert(out->end(), static_cast<std::byte*>(bytes), static_cast<std::byte*>(bytes) + count);
}

}  // namespace

ImageSize image_size(std::span<const std::byte> file) {
  const ImageSize size = stored_size(file);
  return swaps_sides(exif_orientation(file)) ? ImageSize{size.width, size.height} : size;
}

Image decode_image(std::span<const std::byte> file) { return decode_part(file, whole_image).pixels; }

ImagePart decode_part(std::span<const std::byte> file, const std::function<PartRequest(ImageSize)>& request) {
  const ImageSize size = stored_size(file);
  const int orientation = exif_orientation(file);
  const ImageSize shown = swaps_sides(orientation) ? ImageSize{size.width, size.height} : size;
  const PartRequest wanted = request(shown);
  const Box& box = wanted.box;
  check<ShapeError>(box.top >= 0 && box.left >= 0 && box.height > 0 && box.width > 0 &&
                        box.top + box.height <= shown.height && box.left + box.width <= shown.width,
                    "decode_part", "box {} is not inside an image of {}", box, shown);
  if (is_png(file)) return ImagePart(decode_png(file));
  if (is_bmp(file)) return ImagePart(decode_bmp(file, size));
  if (is_webp(file)) return ImagePart(upright(decode_webp(file, size), orientation));
  return upright_part(decode_jpeg(file, size, {stored_box(box, size, orientation), wanted.shrink}), orientation);
}

std::string jpeg_decoder_name() { return std::string(name_of(testing::jpeg_decoder)); }
std::string webp_decoder_name() { return webp_decoder(); }

Image read_image(const std::filesystem::path& path) {
  const std::string file = read_file(path, kMaxFileBytes);
  try {
    return decode_image(std::as_bytes(std::span(file)));
  } catch (const IoError& e) {
    fail<IoError>("read_image", "{}: {}", path.string(), e.what());
  }
}

std::vector<std::byte> encode_png(const Image& image) {
  check<ShapeError>(!image.empty(), "encode_png", "the image is {}", image.size());
  std::vector<std::byte> file;
  const bool ok = stbi_write_png_to_func(append_bytes, &file, int(image.width()), int(image.height()), 3, image.data(),
                                         int(image.width()) * 3);
  check<OutOfMemory>(ok, "encode_png", "no memory to encode an image of {}", image.size());
  return file;
}

std::vector<std::byte> encode_jpeg(const Image& image, int quality) {
  check<ShapeError>(!image.empty(), "encode_jpeg", "the image is {}", image.size());
  std::vector<std::byte> file;
  const bool ok =
      stbi_write_jpg_to_func(append_bytes, &file, int(image.width()), int(image.height()), 3, image.data(), quality);
  check<OutOfMemory>(ok, "encode_jpeg", "no memory to encode an image of {}", image.size());
  return file;
}

void write_png(const std::filesystem::path& path, const Image& image) {
  const std::vector<std::byte> file = encode_png(image);
  durable_write(path, std::string_view(reinterpret_cast<const char*>(file.data()), file.size()));
}

}  // namespace vitrail::data
