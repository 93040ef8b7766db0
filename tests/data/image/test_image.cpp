#include "tests/data/image_files.h"
#include "tests/data/jpeg_decoders.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/image/image_checks.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace vitrail::data {
namespace {

using test::bytes_of;
using test::image_file;
using test::image_path;
using test::with_each_decoder;

Image decode(const std::string& name) { return decode_image(bytes_of(image_file(name))); }

// The gradient of rgb.png: 7 wide, 5 high.
Image gradient() {
  Image image(5, 7);
  for (int y = 0; y < 5; ++y) {
    for (int x = 0; x < 7; ++x) {
      image.at(y, x)[0] = uint8_t(x * 255 / 6);
      image.at(y, x)[1] = uint8_t(y * 255 / 4);
      image.at(y, x)[2] = uint8_t(x * 13 + y * 29);
    }
  }
  return image;
}

int distance(const uint8_t* a, int r, int g, int b) {
  return std::max({std::abs(a[0] - r), std::abs(a[1] - g), std::abs(a[2] - b)});
}

}  // namespace

TEST_CASE("an image is black and knows its size") {
  const Image image(2, 3);
  CHECK(image.size() == ImageSize{2, 3});
  CHECK(image.pixels().size() == 18);
  CHECK(image.at(1, 2) == image.data() + 15);
  CHECK(image.at(1, 2)[2] == 0);
  CHECK(Image().empty());
  CHECK(to_string(image.size()) == "2 x 3");
  CHECK_THROWS_WITH_AS(Image(-1, 3), doctest::Contains("[image] size -1 x 3"), ShapeError);
}

TEST_CASE("lossless images decode to their exact bytes") {
  CHECK(decode("rgb.png") == gradient());
  CHECK(decode("rgb.bmp") == gradient());
  SUBCASE("alpha is beside the colours") {
    Image image = decode("rgba.png");
    CHECK(image.opacity().size() == 35);
    image.set_opacity({});
    CHECK(image == gradient());
  }
  SUBCASE("grey is repeated") {
    const Image grey = decode("grey.png"), colour = gradient();
    REQUIRE(grey.size() == ImageSize{5, 7});
    for (int y = 0; y < 5; ++y) {
      for (int x = 0; x < 7; ++x) {
        const uint8_t* rgb = colour.at(y, x);
        const int luma = (19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 32768) >> 16;
        CHECK(distance(grey.at(y, x), luma, luma, luma) == 0);
      }
    }
  }
  SUBCASE("palette") {
    const Image palette = decode("palette.png");
    CHECK(distance(palette.at(0, 0), 0x2a, 0x00, 0x0d) == 0);
    CHECK(distance(palette.at(4, 6), 0xd4, 0xff, 0xb5) == 0);
  }
  SUBCASE("16 bits keep the upper 8") {
    const Image grey = decode("grey16.png");
    CHECK(distance(grey.at(0, 1), 0x01, 0x01, 0x01) == 0);
    CHECK(distance(grey.at(1, 0), 0xff, 0xff, 0xff) == 0);
    const Image rgb = decode("rgb16.png");
    CHECK(distance(rgb.at(0, 0), 0x12, 0x56, 0x9a) == 0);
    CHECK(distance(rgb.at(0, 1), 0xff, 0x00, 0xff) == 0);
  }
}

TEST_CASE("JPEGs decode to their colours") {
  with_each_decoder([] {
    for (const char* name : {"baseline.jpg", "progressive.jpg"}) {
      CAPTURE(name);
      const Image image = decode(name);
      REQUIRE(image.size() == ImageSize{8, 16});
      CHECK(distance(image.at(3, 3), 200, 30, 40) <= 2);
      CHECK(distance(image.at(3, 12), 20, 180, 60) <= 2);
    }
    const Image grey = decode("grey.jpg");
    CHECK(distance(grey.at(3, 3), 82, 82, 82) <= 2);
    const Image cmyk = decode("cmyk.jpg");
    CHECK(distance(cmyk.at(3, 3), 235, 51, 97) <= 3);
    CHECK(distance(cmyk.at(3, 12), 57, 180, 42) <= 3);
  });
}

TEST_CASE("the size is known from the header") {
  CHECK(image_size(bytes_of(image_file("rgb.png"))) == ImageSize{5, 7});
  CHECK(image_size(bytes_of(image_file("baseline.jpg"))) == ImageSize{8, 16});
  CHECK(image_size(bytes_of(image_file("orientation6.jpg"))) == ImageSize{24, 16});  // stored 16 x 24
}

TEST_CASE("what cannot be decoded says why") {
  CHECK_THROWS_WITH_AS(decode_image({}), doctest::Contains("the file is empty"), IoError);
  CHECK_THROWS_WITH_AS(decode_image(bytes_of("a text")), doctest::Contains("the file is not a JPEG, PNG"), IoError);
  for (const auto& [start, kind] : std::vector<std::pair<std::string, std::string>>{
           {"GIF89a and more", "is a GIF, not a " + image_kinds("or") + "; convert it"},
           {"\x1f\x8b\x08", "is gzip-compressed, not a " + image_kinds("or") + "; unpack it with gunzip"},
           {std::string("II*\0", 4), "is a TIFF"},
           {"    ftypheic", "is a HEIC"},
           {"<!DOCTYPE html>", "is a web page"}})
    CHECK_THROWS_WITH_AS(decode_image(bytes_of(start)), doctest::Contains(kind.c_str()), IoError);
  CHECK_THROWS_WITH_AS(decode("bomb.png"), doctest::Contains("declares a side over 16384"), IoError);
  CHECK_THROWS_WITH_AS(decode("bomb_pixels.png"), doctest::Contains("16384 x 16384, more than 67108864 pixels"),
                       IoError);
  CHECK_THROWS_WITH_AS(decode("truncated.jpg"), doctest::Contains("truncated"), IoError);
  CHECK_THROWS_WITH_AS(decode("overfull_table.jpg"), doctest::Contains("Huffman tables are invalid"), IoError);
  CHECK_THROWS_WITH_AS(decode_image(bytes_of(std::string((64 << 20) + 1, 'x'))), doctest::Contains("67108865 bytes"),
                       IoError);
  CHECK_THROWS_WITH_AS(read_image(image_path("truncated.jpg")), doctest::Contains("truncated.jpg"), IoError);
  CHECK_THROWS_AS(read_image(image_path("no such file")), IoError);
}

TEST_CASE("a file cut anywhere is an error, never half an image") {
  with_each_decoder([] {
    for (const std::string name :
         {"rgb.png", "rgb16.png", "palette.png", "rgb.bmp", "baseline.jpg", "progressive.jpg"}) {
      const std::string file = image_file(name);
      // A JPEG whose end mark alone is missing has the whole image.
      const size_t needed = name.ends_with(".jpg") ? file.size() - 2 : file.size();
      for (size_t length = 0; length < needed; ++length) {
        CAPTURE(name);
        CAPTURE(length);
        const std::string cut = file.substr(0, length);
        CHECK_THROWS_AS(decode_image(bytes_of(cut)), IoError);
      }
    }
  });
}

TEST_CASE("a changed byte gives an image or an IoError") {
  with_each_decoder([] {
    int decoded = 0, refused = 0;
    for (const char* name : {"rgb.png", "rgb.bmp", "progressive.jpg", "orientation8.jpg"}) {
      const std::string file = image_file(name);
      for (size_t i = 0; i < file.size(); ++i) {
        for (const int flip : {0x01, 0x80, 0xff}) {
          std::string changed = file;
          changed[i] = char(changed[i] ^ flip);
          try {
            decoded += !decode_image(bytes_of(changed)).empty();
          } catch (const IoError&) {
            ++refused;
          }
        }
      }
    }
    CHECK(decoded > 0);
    CHECK(refused > 0);
  });
}

TEST_CASE("a PNG we write is the PNG we read") {
  const Image image = gradient();
  CHECK(decode_image(encode_png(image)) == image);
  const test::TemporaryFolder folder;
  write_png(folder.path() / "image.png", image);
  CHECK(read_image(folder.path() / "image.png") == image);
  CHECK_THROWS_AS(encode_png(Image(0, 4)), ShapeError);
}

}  // namespace vitrail::data
