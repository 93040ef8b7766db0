// The pixels of libjpeg-turbo, beside Pillow's, and parts of images.
#include "tests/data/image_files.h"
#include "tests/data/jpeg_decoders.h"
#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/image/exif.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <string>

namespace vitrail::data {
namespace {

using test::bytes_of;
using test::fingerprint;
using test::image_file;

constexpr const char* kScenes[] = {"scene_444.jpg",  "scene_422.jpg",  "scene_420.jpg", "scene_progressive.jpg",
                                   "scene_grey.jpg", "scene_cmyk.jpg", "restart.jpg",   "scene_orientation6.jpg"};

ImagePart part_of(const std::string& file, const Box& box, int64_t shrink) {
  return decode_part(bytes_of(file), [&](ImageSize) { return PartRequest{box, shrink}; });
}

Image shrunk(const std::string& file, int64_t shrink) {
  return decode_part(bytes_of(file), [&](ImageSize size) { return PartRequest{whole_image(size).box, shrink}; }).pixels;
}

}  // namespace

TEST_CASE("JPEGs have Pillow's pixels, in full and at a half, a quarter and an eighth") {
  if (!test::has_turbo()) return;
  // Pillow 9.4 with libjpeg-turbo 2.1.5: Image.draft, then convert("RGB").
  struct Row {
    const char* name;
    std::array<uint64_t, 4> pixels;
  };
  constexpr Row kPillow[] = {
      {"scene_444.jpg", {0x768186bf3e64e4df, 0x754308807271ed07, 0x343f541ad2be1067, 0xc777d021891a1160}},
      {"scene_422.jpg", {0x54f7150583a96a30, 0x3c30f077fc7e33e4, 0x42eab9a6443268c6, 0x7a8d12c5fcaa8777}},
      {"scene_420.jpg", {0x3ca9731bae79d49f, 0xd1366d2ab6ba1a4e, 0x0a226748b7dd2b13, 0x16ae5a2d24a292cf}},
      {"scene_progressive.jpg", {0x3ca9731bae79d49f, 0xd1366d2ab6ba1a4e, 0x0a226748b7dd2b13, 0x16ae5a2d24a292cf}},
      {"scene_grey.jpg", {0x3e9f1fea45e539c1, 0xc5cb5d7094758b2c, 0xf3020c6325ae63d3, 0x3e9fb640a89784f7}},
      {"scene_cmyk.jpg", {0x7902d0f9df4fd4b1, 0xa5dfcbca5945db1f, 0x64eea302e70e282a, 0x63c651885d766bc3}},
      {"restart.jpg", {0x478d15469c977212, 0x4923bfd70a1ff513, 0x4714c63ee40940b7, 0x74adaac4418812f3}},
      {"restart_progressive.jpg", {0x478d15469c977212, 0x4923bfd70a1ff513, 0x4714c63ee40940b7, 0x74adaac4418812f3}},
      {"cmyk.jpg", {0x26f2552a34662725, 0x295f95bfc97054e5, 0x9e2ef28946a9d515, 0x901f8b53ece393bb}}};
  for (const Row& row : kPillow) {
    CAPTURE(row.name);
    const std::string file = image_file(row.name);
    CHECK(fingerprint(decode_image(bytes_of(file)).pixels()) == row.pixels[0]);
    for (size_t i = 0; i < 4; ++i) {
      CAPTURE(i);
      CHECK(fingerprint(shrunk(file, 1 << i).pixels()) == row.pixels[i]);
    }
  }
  const std::string turned = image_file("scene_orientation6.jpg");
  CHECK(decode_image(bytes_of(turned)) == upright(decode_image(bytes_of(image_file("scene_420.jpg"))), 6));
  CHECK(jpeg_decoder_name().starts_with("libjpeg-turbo "));
}

TEST_CASE("a part of a JPEG is cut out of the whole") {
  Rng rng(0, "parts");
  for (const char* name : kScenes) {
    CAPTURE(name);
    const std::string file = image_file(name);
    const ImageSize size = image_size(bytes_of(file));
    for (const int64_t shrink : {1, 2, 4, 8}) {
      const Image all = shrunk(file, shrink);
      for (int repeat = 0; repeat < 60; ++repeat) {
        const int64_t height = 1 + rng.below(size.height), width = 1 + rng.below(size.width);
        const Box box{rng.below(size.height - height + 1), rng.below(size.width - width + 1), height, width};
        CAPTURE(to_string(box));
        CAPTURE(shrink);
        const ImagePart part = part_of(file, box, shrink);
        CHECK(part.whole == size);
        if (part.is_whole()) continue;
        const int64_t d = part.shrink, bottom = part.top + part.pixels.height() * d,
                      right = part.left + part.pixels.width() * d;
        CHECK(
            (part.top <= box.top && part.left <= box.left && box.top + height <= bottom && box.left + width <= right));
        CHECK((box.top - part.top < d && box.left - part.left < d));
        // Where the pixels of the whole begin depends on the orientation; a half that is not whole lies at the end.
        const ImagePart origin = part_of(file, whole_image(size).box, shrink);
        CHECK(part.pixels == crop(all, {(part.top - origin.top) / d, (part.left - origin.left) / d,
                                        part.pixels.height(), part.pixels.width()}));
      }
    }
  }
}

TEST_CASE("a part of an upright image comes from the right place in all orientations") {
  if (!test::has_turbo()) return;
  for (int orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(orientation);
    std::string file = image_file("scene_orientation6.jpg");
    const size_t tag = file.find(std::string("\x12\x01\x03\x00", 4)),
                 big = file.find(std::string("\x01\x12\x00\x03", 4));
    REQUIRE((tag != std::string::npos || big != std::string::npos));
    if (tag != std::string::npos) file[tag + 8] = char(orientation);
    if (big != std::string::npos) file[big + 9] = char(orientation);
    REQUIRE(exif_orientation(bytes_of(file)) == orientation);
    const Image all = decode_image(bytes_of(file));
    const Box box{5, 9, 31, 23};
    const ImagePart part = part_of(file, box, 1);
    CHECK(part.pixels == crop(all, box));
    // A half of the resolution, resized to the size of the box's half, is near the box resized so.
    const Image half = resized_crop(part_of(file, box, 2), box, {15, 11}, Filter::bicubic),
                full = resized_crop(all, box, {15, 11}, Filter::bicubic);
    int64_t difference = 0;
    for (size_t i = 0; i < half.pixels().size(); ++i)
      difference += std::abs(int(half.pixels()[i]) - int(full.pixels()[i]));
    CHECK(difference < 8 * int64_t(half.pixels().size()));
  }
}

TEST_CASE("a part that is asked for must lie inside, and damage in it is found") {
  const std::string file = image_file("scene_420.jpg");
  CHECK_THROWS_WITH_AS(part_of(file, {0, 0, 54, 75}, 1), doctest::Contains("not inside an image of 53 x 75"),
                       ShapeError);
  CHECK_THROWS_AS(part_of(file, {0, 0, 0, 75}, 1), ShapeError);
  const std::string cut = file.substr(0, file.size() / 2);
  test::with_each_decoder([&] {
    CHECK_THROWS_WITH_AS(part_of(cut, {40, 3, 10, 10}, 2),
                         doctest::Contains("truncated: the data of scan 1 ends after"), IoError);
  });
  if (test::has_turbo())
    CHECK(part_of(cut, {0, 3, 10, 10}, 1).pixels == crop(decode_image(bytes_of(file)), {0, 3, 10, 10}));
}

}  // namespace vitrail::data
