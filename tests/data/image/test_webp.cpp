#include "tests/data/image_files.h"
#include "vitrail/core/error.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/image/exif.h"
#include "vitrail/data/image/webp.h"

#include <doctest/doctest.h>

#include <string>

namespace vitrail::data {
namespace {

using test::bytes_of;
using test::fingerprint;
using test::image_file;

Image decode(const std::string& file) { return decode_image(bytes_of(file)); }

}  // namespace

TEST_CASE("WebP files have Pillow's pixels") {
  if (!reads_webp()) return;
  CHECK(image_size(bytes_of(image_file("lossy.webp"))) == ImageSize{53, 75});
  CHECK(fingerprint(decode(image_file("lossy.webp")).pixels()) == 0xa7353e151c14f7cc);
  CHECK(fingerprint(decode(image_file("lossless.webp")).pixels()) == 0x0c0ba0de9cb8d6eb);
  const Image alpha = decode(image_file("alpha.webp"));
  CHECK(fingerprint(alpha.pixels()) == 0xc9cfc7c5b241cb96);
  CHECK(fingerprint(alpha.opacity()) == 0x48e9d67848785519);
  CHECK(webp_decoder_name().starts_with("libwebp "));
}

TEST_CASE("a WebP is turned upright by its EXIF") {
  const std::string file = image_file("orientation6.webp");
  CHECK(exif_orientation(bytes_of(file)) == 6);
  CHECK(exif_orientation(bytes_of(file.substr(0, file.size() - 8))) == 1);
  if (!reads_webp()) return;
  CHECK(image_size(bytes_of(file)) == ImageSize{75, 53});
  CHECK(decode(file) == upright(decode(image_file("lossy.webp")), 6));
  const Image turned = upright(decode(image_file("alpha.webp")), 6), back = upright(turned, 8);
  CHECK(turned.opacity().size() == size_t(75 * 53));
  CHECK(back == decode(image_file("alpha.webp")));
}

TEST_CASE("a WebP that is cut, animated or changed is refused or gives an image") {
  if (!reads_webp()) return;
  CHECK_THROWS_WITH_AS(decode(image_file("animated.webp")), doctest::Contains("is an animated WebP"), IoError);
  for (const char* name : {"lossy.webp", "lossless.webp", "alpha.webp"}) {
    CAPTURE(name);
    const std::string file = image_file(name);
    for (size_t length = 0; length < file.size(); length += 1 + length / 50) {
      CAPTURE(length);
      CHECK_THROWS_AS(decode(file.substr(0, length)), IoError);
    }
    int decoded = 0, refused = 0;
    for (size_t i = 0; i < file.size(); i += 1 + i / 20) {
      std::string changed = file;
      changed[i] = char(changed[i] ^ 0xff);
      try {
        decoded += !decode(changed).empty();
      } catch (const IoError&) {
        ++refused;
      }
    }
    CHECK(decoded + refused > 0);
    CHECK(refused > 0);
  }
}

TEST_CASE("a WebP without the library is refused with the cure") {
  if (reads_webp()) return;
  CHECK_THROWS_WITH_AS(decode(image_file("lossy.webp")), doctest::Contains("install libwebp-dev and build"), IoError);
}

}  // namespace vitrail::data
