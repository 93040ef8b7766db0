#include "vitrail/data/image/codec.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/image/exif.h"
#include "vitrail/data/image/image_checks.h"
#include "vitrail/data/image/jpeg_segments.h"

#include <cstdlib>
#include <cstring>
#include <memory>

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

void* budget_realloc(void* old, size_t old_size, size_t new_size) {
  void* p = budget_malloc(new_size);
  if (!p) return nullptr;
  if (old) std::memcpy(p, old, old_size < new_size ? old_size : new_size);
  budget_free(old);
  return p;
}

}  // namespace

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MAX_DIMENSIONS 16384
#define STBI_ASSERT(condition) static_cast<void>(0)  // odd Huffman tables fail one, harmlessly
#define STBI_MALLOC budget_malloc
#define STBI_REALLOC_SIZED budget_realloc
#define STBI_FREE budget_free
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#ifdef __clang__  // for a PNG that begins with an empty part it copies 0 bytes to null: harmless, but a sanitizer stops
#pragma clang attribute push(__attribute__((no_sanitize("nonnull-attribute"))), apply_to = function)
#endif
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>
#ifdef __clang__
#pragma clang attribute pop
#endif

namespace vitrail::data {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{64} << 20;
constexpr int64_t kMaxPixels = int64_t{1} << 26;

bool has_known_start(std::span<const std::byte> file) {
  using namespace std::string_view_literals;
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  return text.starts_with("\xff\xd8"sv) || text.starts_with("\x89PNG"sv) || text.starts_with("BM"sv);
}

const stbi_uc* stb_bytes(std::span<const std::byte> file) { return reinterpret_cast<const stbi_uc*>(file.data()); }

// The size as stored, before orientation.
ImageSize stored_size(std::span<const std::byte> file) {
  check<IoError>(!file.empty(), "decode_image", "the file is empty");
  check<IoError>(int64_t(file.size()) <= kMaxFileBytes, "decode_image", "the file has {} bytes, more than {}",
                 file.size(), kMaxFileBytes);
  budget = int64_t{1} << 20;
  int width = 0, height = 0, channels = 0;
  check<IoError>(has_known_start(file), "decode_image", "the file is not a JPEG, PNG or BMP");
  check<IoError>(!jpeg_outline(file).bad_table, "decode_image", "the file is damaged: its Huffman tables are invalid");
  check<IoError>(stbi_info_from_memory(stb_bytes(file), int(file.size()), &width, &height, &channels), "decode_image",
                 "the header is damaged or declares a side over {}", STBI_MAX_DIMENSIONS);
  const ImageSize size{height, width};
  check<IoError>(width > 0 && height > 0, "decode_image", "the image is {}", size);
  check<IoError>(size.height * size.width <= kMaxPixels, "decode_image", "the image is {}, more than {} pixels", size,
                 kMaxPixels);
  return size;
}

}  // namespace

ImageSize image_size(std::span<const std::byte> file) {
  const ImageSize size = stored_size(file);
  return swaps_sides(exif_orientation(file)) ? ImageSize{size.width, size.height} : size;
}

Image decode_image(std::span<const std::byte> file) {
  const ImageSize size = stored_size(file);
  check<IoError>(!is_truncated(file, size), "decode_image", "the file is truncated: its end is missing");

  // Enough for 16-bit RGBA in all its stages. The budget does not grow with the size that a compressed stream claims.
  budget = (int64_t{16} << 20) + 4 * int64_t(file.size()) + 32 * size.height * size.width;
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(stb_bytes(file), int(file.size()), &width, &height, &channels, STBI_rgb), budget_free);
  check<IoError>(pixels != nullptr, "decode_image", "the file is damaged: {}", stbi_failure_reason());
  check<IoError>(width == size.width && height == size.height, "decode_image",
                 "the header says {}, the image is {} x {}", size, height, width);

  Image image(size);
  std::memcpy(image.data(), pixels.get(), image.pixels().size());
  return upright(std::move(image), exif_orientation(file));
}

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
  const auto append = [](void* context, void* bytes, int count) {
    auto* out = static_cast<std::vector<std::byte>*>(context);
    out->insert(out->end(), static_cast<std::byte*>(bytes), static_cast<std::byte*>(bytes) + count);
  };
  const bool ok = stbi_write_png_to_func(append, &file, int(image.width()), int(image.height()), 3, image.data(),
                                         int(image.width()) * 3);
  check<OutOfMemory>(ok, "encode_png", "no memory to encode an image of {}", image.size());
  return file;
}

void write_png(const std::filesystem::path& path, const Image& image) {
  const std::vector<std::byte> file = encode_png(image);
  durable_write(path, std::string_view(reinterpret_cast<const char*>(file.data()), file.size()));
}

}  // namespace vitrail::data
