#include "tests/data/image_files.h"
#include "tests/data/reference_images.h"
#include "tests/support/reference.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/hdf5.h"
#include "vitrail/data/augment/center_crop.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/image/resize.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

namespace vitrail::data {
namespace {

using test::AugmentFile;

Filter filter_of(const AugmentFile& file, const std::string& path) {
  return parse_filter(file.reader().attribute<std::string>(path, "resample"));
}

// The test images of image_resample_vectors.json.
Image generated(const std::string& name, int64_t height, int64_t width) {
  Image image(height, width);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < 3; ++c)
        image.at(y, x)[c] = name == "synth"
                                ? uint8_t(7 * x + 13 * y + 29 * c + (x * y / 3 % 97) * (c + 1))
                                : uint8_t((255 * x / (width - 1) + 255 * y / (height - 1) + 40 * c) / 2 % 256);
  return image;
}

}  // namespace

TEST_CASE("resize equals the vectors of Pillow") {
  const auto path = test::reference_path("image_resample_vectors.json");
  if (!path) return;
  const auto cases = nlohmann::json::parse(std::ifstream(*path)).at("resize");
  for (const auto& c : cases) {
    const Image source = generated(c.at("src"), c.at("h"), c.at("w"));
    const ImageSize size{c.at("oh"), c.at("ow")};
    const std::string filter = c.at("filter");
    CAPTURE(filter);
    CAPTURE(to_string(source.size()));
    CAPTURE(to_string(size));
    const Image result = resize(source, size, parse_filter(filter));
    REQUIRE(result.size() == size);
    int64_t sum = 0;
    for (const uint8_t v : result.pixels()) sum += v;
    CHECK(sum == c.at("sum"));
    if (c.contains("pixels")) {
      CHECK(std::vector<uint8_t>(result.pixels().begin(), result.pixels().end()) == c.at("pixels"));
    } else {
      CHECK(std::vector<uint8_t>(result.data(), result.data() + 12) == c.at("first12"));
      const uint8_t* center = result.at(size.height / 2, size.width / 2);
      CHECK(std::vector<uint8_t>(center, center + 3) == c.at("center"));
    }
  }
}

TEST_CASE("resize equals Pillow byte for byte") {
  const auto file = test::open_augment_file();
  if (!file) return;
  for (const std::string& path : file->cases("resize")) {
    CAPTURE(path);
    const ImageSize size{file->integer(path, "height"), file->integer(path, "width")};
    CHECK(resize(file->input(path), size, filter_of(*file, path)) == file->image(path));
  }
}

TEST_CASE("a frame between pixels is resized as Pillow does") {
  const Image image = read_image(test::image_path("rgb.png"));  // 5 x 7
  const auto resized = [&](ImageSize size, Filter filter) {
    const Image frame =
        resized_crop(image, SubpixelBox{1.25, 0.5, 3.25, 5.5}, size, {0, 0, size.height, size.width}, filter);
    return test::fingerprint(frame.pixels());
  };
  // crop((0, 1, 6, 5)).resize(size, filter, box=(0.5, 0.25, 6, 3.5))
  CHECK(resized({3, 4}, Filter::bicubic) == 0xce2aa2d9748c3781);
  CHECK(resized({8, 9}, Filter::bicubic) == 0x6a9bf9906f47a913);
  CHECK(resized({3, 4}, Filter::bilinear) == 0x2691a6c360239408);
  CHECK(resized({8, 9}, Filter::bilinear) == 0x7ff235b5177741c0);
  CHECK(resized({3, 4}, Filter::lanczos) == 0xe7f37ff82ea63e0c);
  CHECK(resized({8, 9}, Filter::lanczos) == 0x7dfb4d33e5676067);
  CHECK(resized({3, 4}, Filter::nearest) == 0x90176a3d5568a0d0);
  const Box box{1, 2, 3, 4};
  CHECK(resized_crop(image, SubpixelBox{1, 2, 3, 4}, {5, 6}, {0, 0, 5, 6}, Filter::bicubic) ==
        resized_crop(image, box, {5, 6}, Filter::bicubic));
  CHECK_THROWS_WITH_AS(resized_crop(image, SubpixelBox{1, 2, 3, 5.5}, {5, 6}, {0, 0, 5, 6}, Filter::bicubic),
                       doctest::Contains("not inside an image of 5 x 7"), ShapeError);
}

TEST_CASE("resized_crop equals torchvision byte for byte") {
  const auto file = test::open_augment_file();
  if (!file) return;
  for (const std::string& path : file->cases("resized_crop")) {
    CAPTURE(path);
    const Box box{file->integer(path, "top"), file->integer(path, "left"), file->integer(path, "height"),
                  file->integer(path, "width")};
    const Image input = file->input(path), expected = file->image(path);
    CHECK(resized_crop(input, box, expected.size(), filter_of(*file, path)) == expected);
    CHECK(resize(crop(input, box), expected.size(), filter_of(*file, path)) == expected);
  }
}

TEST_CASE("shorter side and centre follow torchvision") {
  const auto file = test::open_augment_file();
  if (!file) return;
  const Tensor shorter = file->reader().read("/resize_geometry/resize_shorter");  // w, h, size, new_w, new_h
  for (int64_t i = 0; i < shorter.size(0); ++i) {
    const int64_t* row = shorter.data<int64_t>() + i * 5;
    CAPTURE(i);
    CHECK(resize_shorter({row[1], row[0]}, row[2]) == ImageSize{row[4], row[3]});
  }
  const Tensor center = file->reader().read("/resize_geometry/center_crop");  // w, h, crop, top, left
  for (int64_t i = 0; i < center.size(0); ++i) {
    const int64_t* row = center.data<int64_t>() + i * 5;
    CAPTURE(i);
    CHECK(center_box({row[1], row[0]}, row[2]) == Box{row[3], row[4], row[2], row[2]});
  }
}

TEST_CASE("evaluation crops equal torchvision byte for byte") {
  const auto file = test::open_augment_file();
  if (!file) return;
  for (const char* group : {"eval_resize256_crop224", "eval_small"}) {
    for (const std::string& path : file->cases(group)) {
      CAPTURE(path);
      const Image input = file->input(path);
      const ImageSize size = resize_shorter(input.size(), file->integer(path, "resize"));
      const Image resized = resize(input, size, filter_of(*file, path));
      CHECK(center_crop(resized, file->integer(path, "crop")) == file->image(path));
    }
  }
}

TEST_CASE("a crop of a resized image equals the resized image cropped") {
  for (const Filter filter :
       {Filter::nearest, Filter::box, Filter::bilinear, Filter::hamming, Filter::bicubic, Filter::lanczos}) {
    CAPTURE(to_string(filter));
    for (const ImageSize from : {ImageSize{33, 50}, ImageSize{50, 33}, ImageSize{1, 40}, ImageSize{24, 24}}) {
      const Image image = from.height == 1 ? Image(crop(generated("synth", 2, 40), {0, 0, 1, 40}))
                                           : generated("synth", from.height, from.width);
      for (const ImageSize size : {ImageSize{24, 36}, ImageSize{70, 90}, ImageSize{24, 24}, from}) {
        const Image whole = resize(image, size, filter);
        for (const Box& box : {Box{0, 0, size.height, size.width}, Box{5, 7, 11, 13}, Box{-3, 20, 30, 9},
                               Box{size.height - 2, -4, 8, size.width + 9}, Box{0, 500, 4, 4}, Box{3, 3, 0, 5}}) {
          CAPTURE(to_string(box));
          CHECK(resize_and_crop(image, size, box, filter) == padded_crop(whole, box));
        }
      }
    }
  }
  CHECK_THROWS_AS(resize_and_crop(Image(4, 4), {0, 4}, {0, 0, 2, 2}, Filter::box), ShapeError);
}

TEST_CASE("a long image is cropped before it is resized: memory follows what is kept") {
  // The shorter side to 224 is 1,120,000 x 224 pixels, 753 MB; the centre shows one white pixel.
  for (const bool tall : {false, true}) {
    Image image = tall ? Image(5000, 1) : Image(1, 5000);
    std::fill_n(image.data() + 3 * 2490, 3 * 20, uint8_t{255});
    for (const Filter filter : {Filter::nearest, Filter::bilinear, Filter::bicubic}) {
      const Image centre = ResizeCenterCrop(224, 224, filter).apply(image, {});
      REQUIRE(centre.size() == ImageSize{224, 224});
      CHECK(std::all_of(centre.pixels().begin(), centre.pixels().end(), [](uint8_t v) { return v == 255; }));
    }
  }
  const Image ruler(1, 16384);
  CHECK(ResizeCenterCrop(256, 224).apply(ruler, {}) == Image(224, 224));
}

TEST_CASE("crops keep the pixels and pad with black") {
  const Image image = generated("synth", 4, 5);
  const Image part = crop(image, {1, 2, 2, 3});
  CHECK(part.at(0, 0)[1] == image.at(1, 2)[1]);
  CHECK(part.at(1, 2)[2] == image.at(2, 4)[2]);
  const Image padded = padded_crop(image, {-1, 3, 3, 4});
  CHECK(padded.at(0, 0)[2] == 0);
  CHECK(padded.at(1, 1)[2] == image.at(0, 4)[2]);
  CHECK(padded.at(1, 2)[2] == 0);
  CHECK(padded_crop(image, {9, 9, 2, 2}) == Image(2, 2));
}

TEST_CASE("sizes and boxes that cannot be are errors") {
  const Image image(4, 5);
  CHECK_THROWS_WITH_AS(resize(image, {0, 3}, Filter::bicubic), doctest::Contains("from 4 x 5 to 0 x 3"), ShapeError);
  CHECK_THROWS_AS(resize(Image(), {2, 3}, Filter::nearest), ShapeError);
  CHECK_THROWS_WITH_AS(crop(image, {1, 1, 4, 4}), doctest::Contains("box 4 x 4 at row 1, column 1 is not inside"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(parse_filter("cubic"), doctest::Contains("'cubic' is not one of"), ConfigError);
  CHECK(to_string(parse_filter("bilinear")) == "bilinear");
}

}  // namespace vitrail::data
