#include "tests/data/image_files.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/image/exif.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

namespace vitrail::data {
namespace {

using namespace std::string_literals;
using test::bytes_of;
using test::image_file;

// Byte order, 42, directory at 8, one entry: tag 0x0112, type SHORT, one value.
const std::string kLittle = "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"s;
const std::string kBig = "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"s;

int orientation(const std::string& tiff) { return tiff_orientation(bytes_of(tiff)); }

std::string changed(std::string tiff, size_t at, char value) {
  tiff[at] = value;
  return tiff;
}

}  // namespace

TEST_CASE("all eight orientations show the same upright image") {
  const int colours[3][2][3] = {
      {{200, 30, 40}, {20, 180, 60}}, {{30, 40, 190}, {220, 220, 220}}, {{10, 10, 10}, {240, 200, 20}}};
  for (int o = 1; o <= 8; ++o) {
    CAPTURE(o);
    const std::string file = image_file("orientation" + std::to_string(o) + ".jpg");
    CHECK(exif_orientation(bytes_of(file)) == o);
    const Image image = decode_image(bytes_of(file));
    REQUIRE(image.size() == ImageSize{24, 16});
    for (int y = 0; y < 3; ++y)
      for (int x = 0; x < 2; ++x)
        for (int c = 0; c < 3; ++c) CHECK(std::abs(image.at(4 + 8 * y, 4 + 8 * x)[c] - colours[y][x][c]) <= 2);
  }
}

TEST_CASE("the orientation is read in both byte orders") {
  CHECK(orientation(kLittle) == 6);
  CHECK(orientation(kBig) == 6);
}

TEST_CASE("what is no orientation is upright") {
  CHECK(orientation("") == 1);
  CHECK(orientation(changed(kLittle, 0, 'X')) == 1);     // no byte order
  CHECK(orientation(changed(kLittle, 2, 43)) == 1);      // not TIFF
  CHECK(orientation(changed(kLittle, 7, '\xff')) == 1);  // the directory is outside
  CHECK(orientation(changed(kLittle, 10, 0x13)) == 1);   // another tag, and no more entries
  CHECK(orientation(changed(kLittle, 12, 4)) == 1);      // not a SHORT
  CHECK(orientation(changed(kLittle, 18, 0)) == 1);      // not 1 to 8
  CHECK(orientation(changed(kLittle, 18, 9)) == 1);      //
  for (size_t length = 0; length < 20; ++length) CHECK(orientation(kLittle.substr(0, length)) == 1);
  // The directory claims 65535 entries, but the file ends before the first.
  CHECK(orientation(changed(changed(kLittle.substr(0, 10), 8, '\xff'), 9, '\xff')) == 1);
}

}  // namespace vitrail::data
