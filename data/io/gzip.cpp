#include "vitrail/data/io/gzip.h"

#include "vitrail/core/error.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace vitrail::data {
namespace {

constexpr size_t kLargestStep = std::numeric_limits<uInt>::max();

}  // namespace

/// zlib's state, freed on every exit.
struct GzipReader::Inflater {
  Inflater() { check<OutOfMemory>(inflateInit2(&stream, 15 + 16) == Z_OK, "gunzip", "zlib does not start"); }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  z_stream stream{};
};

bool is_gzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
}

GzipReader::GzipReader(std::span<const std::byte> bytes, std::string path)
    : left_(bytes), path_(std::move(path)), size_(bytes.size()), inflater_(std::make_unique<Inflater>()) {}
GzipReader::~GzipReader() = default;

size_t GzipReader::read(std::span<std::byte> out) {
  z_stream& z = inflater_->stream;
  size_t filled = 0;
  while (filled < out.size() && !done_) {
    const size_t in_step = std::min(left_.size(), kLargestStep), out_step = std::min(out.size() - filled, kLargestStep);
    z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(left_.data()));
    z.avail_in = uInt(in_step);
    z.next_out = reinterpret_cast<Bytef*>(out.data() + filled);
    z.avail_out = uInt(out_step);
    const int status = inflate(&z, Z_NO_FLUSH);
    left_ = left_.subspan(in_step - z.avail_in);
    filled += out_step - z.avail_out;
    if (status == Z_STREAM_END) {
      done_ = left_.empty();
      check<IoError>(done_ || (is_gzip(left_) && inflateReset(&z) == Z_OK), "gunzip",
                     "{}: {} bytes that are not gzip follow the data", path_, left_.size());
      continue;
    }
    check<IoError>(status == Z_OK || (status == Z_BUF_ERROR && !left_.empty()), "gunzip",
                   "{} is damaged or truncated at byte {} of {}: {}", path_, size_ - left_.size(), size_,
                   z.msg != nullptr ? z.msg : "the data ends too early");
  }
  return filled;
}

Bytes gunzip(std::span<const std::byte> bytes, std::string_view path, uint64_t max_bytes) {
  GzipReader reader(bytes, std::string(path));
  Bytes out;
  for (size_t used = 0;;) {
    out.resize(size_t(std::min(max_bytes, std::max<uint64_t>(used * 2, bytes.size() * 4 + 4096))));
    used += reader.read(std::span(out).subspan(used));
    if (used == max_bytes) {
      std::byte more{};
      check<IoError>(reader.read({&more, 1}) == 0, "gunzip", "{} inflates to more than {} bytes", path, max_bytes);
    }
    if (used < out.size() || used == max_bytes) {
      out.resize(used);
      out.shrink_to_fit();
      return out;
    }
  }
}

}  // namespace vitrail::data
