// PNG files of any kind, built from samples, to be damaged by tests.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

namespace vitrail::test {

inline std::string big_endian(uint32_t value, int bytes = 4) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += char(value >> (8 * i) & 0xff);
  return text;
}

/// checksum_error: is added to the checksum.
inline std::string png_chunk(const std::string& type, const std::string& data, uint32_t checksum_error = 0) {
  const std::string body = type + data;
  const auto sum = uint32_t(crc32(0, reinterpret_cast<const Bytef*>(body.data()), uInt(body.size())));
  return big_endian(uint32_t(data.size())) + body + big_endian(sum + checksum_error);
}

inline std::string deflated(const std::string& bytes) {
  uLongf size = compressBound(uLong(bytes.size()));
  std::string result(size, '\0');
  compress(reinterpret_cast<Bytef*>(result.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()),
           uLong(bytes.size()));
  result.resize(size);
  return result;
}

struct Png {
  uint32_t width = 1, height = 1;
  int depth = 8, color = 2, interlace = 0;
  std::string palette{}, transparency{};
  std::string rows{};    // each with its filter first
  std::string stream{};  // the compressed rows; empty: of rows
  bool end = true;

  std::string header() const {
    return big_endian(width) + big_endian(height) + char(depth) + char(color) + std::string(2, '\0') + char(interlace);
  }
  std::string file() const {
    std::string text = "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", header());
    if (!palette.empty()) text += png_chunk("PLTE", palette);
    if (!transparency.empty()) text += png_chunk("tRNS", transparency);
    text += png_chunk("IDAT", stream.empty() ? deflated(rows) : stream);
    return end ? text + png_chunk("IEND", "") : text;
  }
};

}  // namespace vitrail::test
