// Small images and archives made by tests.
#pragma once

#include "tests/support/text_file.h"
#include "vitrail/data/sources/dataset.h"

#include <zlib.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace vitrail::test {

inline std::string little_endian(uint32_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += char(value >> (8 * i));
  return out;
}

/// A BMP file of width x height pixels of one colour.
inline std::string bmp(std::array<uint8_t, 3> rgb, uint32_t width = 4, uint32_t height = 3) {
  const uint32_t row = (width * 3 + 3) / 4 * 4, begin = 54;
  std::string out = "BM" + little_endian(begin + row * height, 4) + little_endian(0, 4) + little_endian(begin, 4);
  out += little_endian(40, 4) + little_endian(width, 4) + little_endian(height, 4) + little_endian(1, 2) +
         little_endian(24, 2) + std::string(24, '\0');
  std::string line;
  for (uint32_t x = 0; x < width; ++x)
    for (int c : {2, 1, 0}) line += char(rgb[size_t(c)]);
  line.resize(row);
  for (uint32_t y = 0; y < height; ++y) out += line;
  return out;
}

/// An image whose red value is its class. Green and blue hold its number.
inline std::string numbered_bmp(int label, int number) {
  return bmp({uint8_t(label), uint8_t(number / 256), uint8_t(number % 256)});
}

/// One member of a tar archive, with its padding. Fields may be set wrong on purpose.
struct TarItem {
  std::string name, content;
  char type = '0';
  std::string size_field{};  // 12 bytes instead of the right octal ones
  std::string link{};
  std::string prefix{};
};

inline std::string tar_item(const TarItem& item) {
  std::string block(512, '\0');
  const auto put = [&](size_t at, const std::string& text) { block.replace(at, text.size(), text); };
  char octal[16];
  std::snprintf(octal, sizeof octal, "%011zo", item.content.size());
  put(0, item.name.substr(0, 100));
  put(100, "0000644");
  put(124, item.size_field.empty() ? std::string(octal) : item.size_field);
  put(136, "00000000000");
  put(148, "        ");
  block[156] = item.type;
  put(157, item.link);
  put(257, std::string("ustar\0"
                       "00",
                       8));
  put(345, item.prefix);
  unsigned sum = 0;
  for (char c : block) sum += static_cast<uint8_t>(c);
  std::snprintf(octal, sizeof octal, "%06o", sum);
  put(148, std::string(octal) + '\0' + ' ');
  std::string content = item.content;
  content.resize((content.size() + 511) / 512 * 512);
  return block + content;
}

inline std::string tar(const std::vector<TarItem>& items) {
  std::string out;
  for (const TarItem& item : items) out += tar_item(item);
  return out + std::string(1024, '\0');
}

inline std::string gzip(const std::string& content) {
  z_stream z{};
  deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, content.size()), '\0');
  std::string in = content;
  z.next_in = reinterpret_cast<Bytef*>(in.data());
  z.avail_in = uInt(in.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = uInt(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

/// Writes the file and the folders on the way to it.
inline void write_file(const std::filesystem::path& path, const std::string& content) {
  std::filesystem::create_directories(path.parent_path());
  write_text(path, content);
}

inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

/// {red, green, blue} of the first pixel.
inline std::array<int, 3> first_pixel(const data::Image& image) {
  return {image.data()[0], image.data()[1], image.data()[2]};
}

}  // namespace vitrail::test
