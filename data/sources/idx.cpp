#include "vitrail/data/sources/idx.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/io/gzip.h"
#include "vitrail/data/sources/array_dataset.h"

#include <array>
#include <cstring>
#include <utility>

namespace vitrail::data {
namespace {

/// {0, 0, type, rank}, then rank big-endian 32-bit sizes, then the elements.
Tensor parse_idx(std::span<const std::byte> bytes, const std::string& path) {
  constexpr size_t kMagicSize = 4, kSize = 4;
  constexpr auto kUnsignedByte = std::byte{0x08};
  check<IoError>(bytes.size() >= kMagicSize && bytes[0] == std::byte{0} && bytes[1] == std::byte{0}, "idx",
                 "{} is not an IDX file: it does not begin with two zero bytes", path);
  check<IoError>(bytes[2] == kUnsignedByte, "idx", "{}: elements are of type {}; only unsigned bytes (8) are read",
                 path, int(bytes[2]));
  const auto rank = size_t(bytes[3]);
  check<IoError>(rank >= 1 && rank <= 4, "idx", "{}: rank {}; 1 to 4 is read", path, rank);
  const size_t begin = kMagicSize + rank * kSize;
  check<IoError>(bytes.size() >= begin, "idx", "{} is truncated: {} bytes of a header of {}", path, bytes.size(),
                 begin);
  std::array<int64_t, 4> sizes{};
  uint64_t numel = 1;
  const uint64_t left = bytes.size() - begin;
  for (size_t axis = 0; axis < rank; ++axis) {
    uint32_t size = 0;
    for (size_t i = 0; i < kSize; ++i) size = size << 8 | uint32_t(bytes[kMagicSize + axis * kSize + i]);
    check<IoError>(size > 0, "idx", "{}: size {} is 0", path, axis);
    check<IoError>(numel <= left / size, "idx", "{}: the sizes in the header need more than the {} bytes there are",
                   path, left);
    numel *= size;
    sizes[axis] = size;
  }
  check<IoError>(numel == left, "idx", "{}: the header announces {} bytes, {} follow", path, numel, left);
  Tensor out = Tensor::empty(Shape(std::span<const int64_t>(sizes.data(), rank)), DType::u8);
  std::memcpy(out.raw(), bytes.data() + begin, numel);
  return out;
}

}  // namespace

Tensor read_idx(const std::string& path) {
  const MappedFile file(path);
  return is_gzip(file.bytes()) ? parse_idx(gunzip(file.bytes(), path), path) : parse_idx(file.bytes(), path);
}

std::unique_ptr<Dataset> open_idx(const std::string& images_path, const std::string& labels_path,
                                  const SourceOptions& options) {
  PixelArray array;
  array.images = read_idx(images_path);
  check<IoError>(array.images.rank() >= 3, "idx", "{} holds {}; images are [N, H, W] or [N, H, W, 3]", images_path,
                 array.images.shape());
  if (array.images.rank() == 3) array.images = array.images.unsqueeze(3);  // [N, H, W, 1]
  array.sources = {{images_path, array.images.size(0)}};
  if (options.labelled && !labels_path.empty()) {
    const Tensor labels = read_idx(labels_path);
    check<IoError>(labels.rank() == 1, "idx", "{} holds {}; labels are [N]", labels_path, labels.shape());
    const auto values = labels.span<uint8_t>();
    array.labels.assign(values.begin(), values.end());
  }
  return make_array_dataset(std::move(array), options);
}

}  // namespace vitrail::data
