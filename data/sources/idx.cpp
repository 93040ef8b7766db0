#include "vitrail/data/sources/idx.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/io/gzip.h"
#include "vitrail/data/sources/array_dataset.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

namespace vitrail::data {
namespace {

/// Fills the span and returns the number of bytes, fewer only at the end.
using Read = std::function<size_t(std::span<std::byte>)>;

/// {0, 0, type, rank}, then rank big-endian 32-bit sizes, then the elements. There are at most `most` bytes.
Tensor parse_idx(const Read& read, uint64_t most, const std::string& path) {
  constexpr size_t kMagicSize = 4, kSize = 4;
  constexpr auto kUnsignedByte = std::byte{0x08};
  std::array<std::byte, kMagicSize> magic{};
  check<IoError>(read(magic) == kMagicSize && magic[0] == std::byte{0} && magic[1] == std::byte{0}, "idx",
                 "{} is not an IDX file: it does not begin with two zero bytes", path);
  check<IoError>(magic[2] == kUnsignedByte, "idx", "{}: elements are of type {}; only unsigned bytes (8) are read",
                 path, int(magic[2]));
  const auto rank = size_t(magic[3]);
  check<IoError>(rank >= 1 && rank <= 4, "idx", "{}: rank {}; 1 to 4 is read", path, rank);
  std::array<std::byte, 4 * kSize> header{};
  const size_t got = read(std::span(header).first(rank * kSize));
  check<IoError>(got == rank * kSize, "idx", "{} is truncated: {} bytes of a header of {}", path, kMagicSize + got,
                 kMagicSize + rank * kSize);
  std::array<int64_t, 4> sizes{};
  uint64_t numel = 1;
  const uint64_t left = most - kMagicSize - rank * kSize;
  for (size_t axis = 0; axis < rank; ++axis) {
    const uint32_t size = *read_uint(header, axis * kSize, kSize, ByteOrder::big);
    check<IoError>(size > 0, "idx", "{}: size {} is 0", path, axis);
    check<IoError>(numel <= left / size, "idx", "{}: the sizes in the header need more than the {} bytes there are",
                   path, left);
    numel *= size;
    sizes[axis] = size;
  }
  Tensor out = Tensor::empty(Shape(std::span<const int64_t>(sizes.data(), rank)), DType::u8);
  const size_t elements = read(std::as_writable_bytes(out.span<uint8_t>()));
  std::array<std::byte, 256> more{};
  const size_t behind = elements < numel ? 0 : read(more);
  check<IoError>(elements == numel && behind == 0, "idx", "{}: the header announces {} bytes, {}{} follow", path, numel,
                 elements + behind, behind == more.size() ? " or more" : "");
  return out;
}

}  // namespace

Tensor read_idx(const std::string& path) {
  const MappedFile file(path);
  std::span<const std::byte> left = file.bytes();
  if (is_gzip(left)) {
    GzipReader gzip(left, path);
    return parse_idx([&](std::span<std::byte> out) { return gzip.read(out); }, left.size() * kMostInflation, path);
  }
  const auto read = [&left](std::span<std::byte> out) {
    const size_t count = std::min(left.size(), out.size());
    std::copy_n(left.begin(), count, out.begin());
    left = left.subspan(count);
    return count;
  };
  return parse_idx(read, left.size(), path);
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
