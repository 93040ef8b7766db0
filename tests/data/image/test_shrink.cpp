#include "tests/data/image_files.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/image/resize.h"
#include "vitrail/data/image/shrink.h"
#include "vitrail/data/sources/array_dataset.h"
#include "vitrail/data/sources/image_folder.h"
#include "vitrail/data/sources/open_dataset.h"
#include "vitrail/data/sources/pack.h"

#include <doctest/doctest.h>

#include <cstdlib>

namespace vitrail::data {
namespace {

/// A smooth gradient.
Image gradient(int64_t height, int64_t width) {
  Image image(height, width);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      uint8_t* const pixel = image.at(y, x);
      pixel[0] = uint8_t(255 * y / height);
      pixel[1] = uint8_t(255 * x / width);
      pixel[2] = 90;
    }
  return image;
}

int largest_difference(const Image& a, const Image& b) {
  REQUIRE(a.size() == b.size());
  int most = 0;
  for (size_t i = 0; i < a.pixels().size(); ++i) most = std::max(most, std::abs(a.pixels()[i] - b.pixels()[i]));
  return most;
}

Bytes bytes(const std::string& text) {
  const auto span = test::bytes_of(text);
  return {span.begin(), span.end()};
}

void write(const std::filesystem::path& path, const Bytes& file) {
  std::filesystem::create_directories(path.parent_path());
  test::write_text(path, {reinterpret_cast<const char*>(file.data()), file.size()});
}

}  // namespace

TEST_CASE("a JPEG we write is close to its image") {
  const Image image = gradient(50, 70);
  CHECK(largest_difference(decode_image(encode_jpeg(image, 95)), image) <= 6);
  CHECK_THROWS_AS(encode_jpeg(Image(0, 4), 95), ShapeError);
}

TEST_CASE("large image files become smaller in their kind, small ones stay as they are") {
  const Image image = gradient(60, 90), expected = resize(image, {20, 30}, Filter::bicubic);
  Bytes png = encode_png(image), jpeg = encode_jpeg(image, 95);
  CHECK(shrink_file(png, 20) == Shrunk::yes);
  CHECK(decode_image(png) == expected);
  CHECK(shrink_file(jpeg, 20) == Shrunk::yes);
  CHECK(jpeg[0] == std::byte{0xff});
  CHECK(largest_difference(decode_image(jpeg), expected) <= 12);
  const Bytes before = png;
  for (const int64_t side : {20, 21, 1000}) CHECK(shrink_file(png, side) == Shrunk::no);
  CHECK(png == before);

  // The header of a turned image is that of the image as stored.
  Bytes file = bytes(test::image_file("orientation6.jpg"));
  const ImageSize upright = image_size(file),
                  half = resize_shorter(upright, std::min(upright.height, upright.width) / 2);
  CHECK(shrink_file(file, std::min(half.height, half.width)) == Shrunk::yes);
  CHECK(decode_image(file).size() == half);

  Bytes cut = encode_png(image);
  cut.resize(cut.size() - 30);
  CHECK_THROWS_AS(shrink_file(cut, 20), IoError);
}

TEST_CASE("packing may make images smaller once") {
  const test::TemporaryFolder folder;
  const auto root = folder.path() / "set", packed = folder.path() / "set.h5";
  write(root / "a/1.jpg", encode_jpeg(gradient(64, 96), 95));
  write(root / "a/2.png", encode_png(gradient(70, 50)));
  write(root / "b/3.png", encode_png(gradient(8, 200)));
  write(root / "b/4.png", bytes(test::image_file("rgba.png")));
  const auto set = open_image_folder(root.string());
  const ImageSize size = set->get(3).image.size();
  REQUIRE(std::min(size.height, size.width) > 4);
  CHECK(pack(packed, {{"train", set.get()}}, {.side = 4}).transparent == 1);
  CHECK(open_dataset(packed.string(), "train")->encoded(3) == set->encoded(3));  // its opacity would be lost

  const Packed result = pack(packed, {{"train", set.get()}}, {.side = 32});
  CHECK(result.size() == 4);
  CHECK(result.shrunk == 2);
  const auto copy = open_dataset(packed.string(), "train");
  CHECK(copy->get(0).image.size() == ImageSize{32, 48});
  CHECK(copy->get(1).image == resize(set->get(1).image, resize_shorter({70, 50}, 32), Filter::bicubic));
  CHECK(copy->encoded(2) == set->encoded(2));
  CHECK(copy->label(2) == 1);

  PixelArray array;
  array.images = zeros({2, 6, 6, 3}, DType::u8);
  array.labels = {0, 0};
  const auto pixels = make_array_dataset(std::move(array));
  CHECK_THROWS_WITH_AS(pack(packed, {{"train", pixels.get()}}, {.side = 4}), doctest::Contains("holds plain pixels"),
                       DataError);
}

}  // namespace vitrail::data
