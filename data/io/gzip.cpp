#include "vitrail/data/io/gzip.h"

#include "vitrail/core/error.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

namespace vitrail::data {
namespace {

/// zlib's inflate state, freed on every exit.
class Inflater final {
 public:
  Inflater() { check<OutOfMemory>(inflateInit2(&stream, 15 + 16) == Z_OK, "gunzip", "zlib does not start"); }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  z_stream stream{};
};

constexpr uint64_t kLargestStep = std::numeric_limits<uInt>::max();

}  // namespace

bool is_gzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
}

Bytes gunzip(std::span<const std::byte> bytes, std::string_view path, uint64_t max_bytes) {
  Inflater inflater;
  z_stream& z = inflater.stream;
  Bytes out;
  uint64_t in_used = 0, out_used = 0;
  while (true) {
    if (out_used == out.size()) {
      check<IoError>(out_used < max_bytes, "gunzip", "{} inflates to more than {} bytes", path, max_bytes);
      out.resize(size_t(std::min(max_bytes, std::max<uint64_t>(out_used * 2, bytes.size() * 4 + 4096))));
    }
    const uint64_t in_step = std::min(bytes.size() - in_used, kLargestStep);
    const uint64_t out_step = std::min(out.size() - out_used, kLargestStep);
    z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data() + in_used));
    z.avail_in = uInt(in_step);
    z.next_out = reinterpret_cast<Bytef*>(out.data() + out_used);
    z.avail_out = uInt(out_step);
    const int status = inflate(&z, Z_NO_FLUSH);
    in_used += in_step - z.avail_in;
    out_used += out_step - z.avail_out;
    if (status == Z_STREAM_END) {
      if (in_used == bytes.size()) break;
      check<IoError>(is_gzip(bytes.subspan(in_used)) && inflateReset(&z) == Z_OK, "gunzip",
                     "{}: {} bytes that are not gzip follow the data", path, bytes.size() - in_used);
      continue;
    }
    check<IoError>(status == Z_OK || (status == Z_BUF_ERROR && in_used < bytes.size()), "gunzip",
                   "{} is damaged or truncated at byte {} of {}: {}", path, in_used, bytes.size(),
                   z.msg != nullptr ? z.msg : "the data ends too early");
  }
  out.resize(out_used);
  out.shrink_to_fit();
  return out;
}

}  // namespace vitrail::data
