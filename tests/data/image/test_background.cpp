#include "tests/data/image_files.h"
#include "tests/data/png_builder.h"
#include "vitrail/core/error.h"
#include "vitrail/core/tensor.h"
#include "vitrail/data/augment/image_transform.h"
#include "vitrail/data/augment/multi_crop.h"
#include "vitrail/data/image/background.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/sources/array_dataset.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace vitrail::data {
namespace {

using namespace std::string_literals;

/// Red: opaque, half opaque and clear.
Image red() {
  return decode_image(
      test::bytes_of(test::Png{.width = 3, .color = 6, .rows = "\0\xff\0\0\xff\xff\0\0\x80\xff\0\0\0"s}.file()));
}

std::vector<int> laid(const std::string& background) {
  const Image image = Background::parse(background).under(red());
  CHECK(image.opacity().empty());
  return {image.pixels().begin(), image.pixels().end()};
}

}  // namespace

TEST_CASE("transparent pixels are laid on a colour, or their colours stay") {
  CHECK(laid("white") == std::vector{255, 0, 0, 255, 127, 127, 255, 255, 255});
  CHECK(laid("black") == std::vector{255, 0, 0, 128, 0, 0, 0, 0, 0});
  CHECK(laid("#00ff80") == std::vector{255, 0, 0, 128, 127, 64, 0, 255, 128});
  CHECK(laid("00ff80") == laid("#00FF80"));
  CHECK(laid("drop") == std::vector{255, 0, 0, 255, 0, 0, 255, 0, 0});
  const Image opaque(2, 2);
  CHECK(Background(1, 2, 3).under(opaque) == opaque);
}

TEST_CASE("every opacity rounds to nearest") {
  Image image(1, 256);
  std::vector<uint8_t> opacity(256);
  for (int i = 0; i < 256; ++i) {
    opacity[size_t(i)] = uint8_t(i);
    image.at(0, i)[0] = 200;
    image.at(0, i)[1] = uint8_t(255 - i);
  }
  image.set_opacity(opacity);
  const Image result = Background(255, 0, 0).under(image);
  for (int i = 0; i < 256; ++i) {
    CHECK(result.at(0, i)[0] == (200 * i + 255 * (255 - i) + 127) / 255);
    CHECK(result.at(0, i)[1] == ((255 - i) * i + 127) / 255);
  }
  CHECK_THROWS_AS(image.set_opacity({1, 2}), ShapeError);
}

TEST_CASE("a background reads back, and another text names what is known") {
  for (const std::string text : {"drop", "#12ab00"}) CHECK(Background::parse(text).text() == text);
  CHECK(Background::parse("white").text() == "#ffffff");
  CHECK_FALSE(Background().named());
  CHECK(Background::parse("drop").named());
  for (const char* text : {"wite", "", "#fff", "#12345g", "#1234567", "-12345"})
    CHECK_THROWS_WITH_AS(Background::parse(text), doctest::Contains("known are drop, white"), ConfigError);
}

TEST_CASE("transforms lay images on their background first, and without one a note is due, once") {
  const Background white(255, 255, 255);
  Rng rng(0, "unused");
  const ImageTransform plain({}, {kHalfMean, kHalfStd}, {}, white);
  CHECK(plain.augmented(red(), rng) == white.under(red()));
  MultiCrop::Config config;
  config.global_size = config.local_size = 3;
  config.background = white;
  Rng a(1, "crops"), b(1, "crops");
  CHECK(MultiCrop(config).augmented(red(), a) == MultiCrop(config).augmented(white.under(red()), b));

  Background::parse("drop").under(red());
  CHECK_FALSE(take_transparency_note());
  const ImageTransform unnamed({}, {kHalfMean, kHalfStd});
  CHECK(unnamed.augmented(red(), rng) == Background::parse("drop").under(red()));
  const auto note = take_transparency_note();
  REQUIRE(note);
  CHECK(note->find("data.background=white") != std::string::npos);
  unnamed.augmented(red(), rng);
  CHECK_FALSE(take_transparency_note());
}

TEST_CASE("a fourth channel of pixels in arrays is their opacity") {
  Tensor images = Tensor::empty({2, 1, 2, 4}, DType::u8);
  const std::vector<uint8_t> values = {1, 2, 3, 255, 4, 5, 6, 255, 1, 2, 3, 9, 4, 5, 6, 255};
  std::copy(values.begin(), values.end(), images.data<uint8_t>());
  PixelArray array;
  array.images = images;
  const auto dataset = make_array_dataset(std::move(array));
  CHECK(dataset->get(0).image.opacity().empty());
  CHECK(std::ranges::equal(dataset->get(1).image.opacity(), std::vector<uint8_t>{9, 255}));
  CHECK(dataset->get(1).image.at(0, 1)[2] == 6);
}

}  // namespace vitrail::data
