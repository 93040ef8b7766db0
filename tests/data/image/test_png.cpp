#include "tests/data/image_files.h"
#include "tests/data/png_builder.h"
#include "vitrail/core/error.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/image/png.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace vitrail::data {
namespace {

using namespace std::string_literals;
using test::bytes_of;
using test::Png;
using test::png_chunk;

Image decode(const std::string& file) { return decode_image(bytes_of(file)); }
Image decode(const Png& png) { return decode(png.file()); }

std::vector<int> pixels(const Image& image) { return {image.pixels().begin(), image.pixels().end()}; }
std::vector<int> opacity(const Image& image) { return {image.opacity().begin(), image.opacity().end()}; }

/// Two pixels, red and blue.
Png red_blue() { return {.width = 2, .height = 1, .rows = "\0\xff\0\0\0\0\xff"s}; }

void refused(const std::string& file, const std::string& reason) {
  CAPTURE(reason);
  CHECK_THROWS_WITH_AS(decode(file), doctest::Contains(reason.c_str()), IoError);
}

}  // namespace

TEST_CASE("a PNG of every kind keeps its colours and its opacity") {
  CHECK(pixels(decode(red_blue())) == std::vector{255, 0, 0, 0, 0, 255});
  CHECK(opacity(decode(red_blue())).empty());
  SUBCASE("alpha of 8 and 16 bits, with grey and with colours") {
    const Image rgba = decode(Png{.width = 2, .color = 6, .rows = "\0\x01\x02\x03\x80\x04\x05\x06\xff"s});
    CHECK(pixels(rgba) == std::vector{1, 2, 3, 4, 5, 6});
    CHECK(opacity(rgba) == std::vector{128, 255});
    const Image wide = decode(Png{.depth = 16, .color = 6, .rows = "\0\x01\xee\x02\xee\x03\xee\x40\xee"s});
    CHECK(pixels(wide) == std::vector{1, 2, 3});
    CHECK(opacity(wide) == std::vector{64});
    const Image grey = decode(Png{.width = 2, .color = 4, .rows = "\0\x07\x00\x09\xff"s});
    CHECK(pixels(grey) == std::vector{7, 7, 7, 9, 9, 9});
    CHECK(opacity(grey) == std::vector{0, 255});
    CHECK(opacity(decode(Png{.depth = 16, .color = 4, .rows = "\0\x07\0\x20\0"s})) == std::vector{32});
  }
  SUBCASE("an alpha channel that is opaque everywhere is none") {
    CHECK(opacity(decode(Png{.color = 6, .rows = "\0\x01\x02\x03\xff"s})).empty());
  }
  SUBCASE("palettes of 1 to 8 bits, some colours transparent") {
    Png png{.width = 3, .depth = 2, .color = 3, .palette = "abcdefghi", .rows = "\0\x18"s};  // colours 0, 1, 2
    CHECK(pixels(decode(png)) == std::vector<int>{'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'});
    png.transparency = "\xff\x10"s;
    CHECK(opacity(decode(png)) == std::vector{255, 16, 255});
    CHECK(opacity(decode(Png{.depth = 8, .color = 3, .palette = "abc", .transparency = "\0"s, .rows = "\0\0"s})) ==
          std::vector{0});
    CHECK(pixels(decode(Png{.depth = 1, .color = 3, .palette = "abcdef", .rows = "\0\x80"s})) ==
          std::vector<int>{'d', 'e', 'f'});
  }
  SUBCASE("one colour is transparent, compared at its full depth") {
    CHECK(opacity(decode(Png{.width = 2, .color = 2, .transparency = "\0\xff\0\0\0\0"s, .rows = red_blue().rows})) ==
          std::vector{0, 255});
    CHECK(opacity(decode(
              Png{.width = 2, .depth = 16, .color = 0, .transparency = "\x12\x34"s, .rows = "\0\x12\x34\x12\x35"s})) ==
          std::vector{0, 255});
    const Image small = decode(Png{.width = 2, .depth = 4, .color = 0, .transparency = "\0\x0f"s, .rows = "\0\xf3"s});
    CHECK(pixels(small) == std::vector{255, 255, 255, 51, 51, 51});
    CHECK(opacity(small) == std::vector{0, 255});
  }
  SUBCASE("all five filters") {
    const std::string rows =
        "\x00\x0a\x14\x1e\x0a\x14\x1e\x01\x0a\x14\x1e\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00"
        "\x03\x05\x0a\x0f\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00"s;
    const Image image = decode(Png{.width = 2, .height = 5, .rows = rows});
    for (int y = 0; y < 5; ++y)
      for (int x = 0; x < 2; ++x)
        CHECK(std::vector<int>(image.at(y, x), image.at(y, x) + 3) == std::vector{10, 20, 30});
  }
  SUBCASE("interlaced: the passes of a 2 x 2 image hold 1, 0, 0, 0, 0, 1 and 2 pixels") {
    const Png png{.width = 2, .height = 2, .color = 0, .interlace = 1, .rows = "\0\x01\0\x02\0\x03\x04"s};
    CHECK(pixels(decode(png)) == std::vector{1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4});
  }
}

TEST_CASE("damage in a PNG is named") {
  const std::string good = red_blue().file(), signature = good.substr(0, 8);
  const std::string header = png_chunk("IHDR", red_blue().header()), end = png_chunk("IEND", "");
  const std::string data = test::deflated(red_blue().rows), idat = png_chunk("IDAT", data);
  REQUIRE(good == signature + header + idat + end);
  refused(signature + png_chunk("IHDR", red_blue().header(), 1) + idat + end, "checksum (CRC) of its chunk IHDR");
  refused(signature + header + png_chunk("IDAT", data, 1) + end, "checksum (CRC) of its chunk IDAT at byte 33");
  refused(signature + header + idat + png_chunk("IEND", "", 1), "checksum (CRC) of its chunk IEND");
  refused(signature + header + idat, "truncated: its end (the chunk IEND) is missing");
  refused(signature + header + end, "no pixels (no chunk IDAT)");
  refused(signature + idat + end, "its header (the chunk IHDR) is missing");
  refused(signature + header + png_chunk("IDAT", data.substr(0, data.size() - 5)) + end, "its pixels end after");
  refused(signature + header + png_chunk("QUAX", "") + idat + end, "the chunk QUAX is unknown");
  refused(signature + png_chunk("CgBI", "abcd") + header + idat + end, "Apple's own form of PNG");
  std::string changed = data;
  changed.back() = char(changed.back() + 1);
  refused(signature + header + png_chunk("IDAT", changed) + end, "checksum (Adler-32) of its pixels is wrong");
  changed = data;
  changed[0] = '\x79';
  refused(signature + header + png_chunk("IDAT", changed) + end, "the header of its compressed pixels is wrong");
  refused(signature + header + png_chunk("IDAT", data.substr(0, 3) + "\xff\xff" + data.substr(5)) + end,
          "its compressed pixels are invalid");
  refused("\x89PNG\n\x1a\n" + good.substr(8), "line ends may have been changed");
  refused(Png{.rows = "\x05\x01\x02\x03"s}.file(), "a row has the filter 5");
  refused(Png{.height = 2, .rows = "\0\x01\x02\x03"s}.file(), "its pixels end after 4 of 8 bytes");
  refused(Png{.rows = std::string(70000, '\0')}.file(), "more pixels than its header says");
  refused(Png{.depth = 3, .rows = "\0"s}.file(), "colour type 2 with 3 bits");
  SUBCASE("palettes") {
    const Png png{.width = 2, .color = 3, .palette = "abc", .rows = "\0\0\x01"s};
    refused(png.file(), "a pixel has colour 1 of a palette of 1");
    refused(Png{.color = 3, .rows = "\0\0"s}.file(), "no palette");
    refused(Png{.color = 3, .palette = "abcd", .rows = "\0\0"s}.file(), "its palette has 4 bytes");
    refused(Png{.color = 3, .palette = "abc", .transparency = "ab", .rows = "\0\0"s}.file(), "(the chunk tRNS) has 2");
    refused(Png{.color = 6, .transparency = "ab", .rows = "\0\0\0\0\0"s}.file(), "(the chunk tRNS) has 2");
  }
}

TEST_CASE("what does not change the pixels of a PNG is passed over") {
  const std::string good = red_blue().file();
  const Image image = decode(red_blue());
  CHECK(decode(good + "anything behind the end") == image);
  std::string with_text = good;
  with_text.insert(33, png_chunk("tEXt", "Title", 1));  // its checksum is wrong
  CHECK(decode(with_text) == image);
  Png extra = red_blue();
  extra.rows += std::string(100, '\0');
  CHECK(decode(extra) == image);
}

TEST_CASE("a flipped bit of a PNG's pixels, palette or header is never another image") {
  const Png png{.width = 2, .height = 2, .color = 3, .palette = "abcdef", .rows = "\0\0\x01\0\x01\0"s};
  const std::string good = png.file();
  const Image image = decode(good);
  for (size_t i = 8; i < good.size() - 12; ++i) {
    std::string changed = good;
    changed[i] = char(changed[i] ^ 0x10);
    CAPTURE(i);
    CHECK_THROWS_AS(decode(changed), IoError);
  }
  CHECK(image.height() == 2);
}

}  // namespace vitrail::data
