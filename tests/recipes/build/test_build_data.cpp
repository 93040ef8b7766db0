#include "tests/support/close.h"
#include "vitrail/core/error.h"
#include "vitrail/data/augment/color.h"
#include "vitrail/data/augment/rand_augment.h"
#include "vitrail/data/image/resize.h"
#include "vitrail/data/sources/array_dataset.h"
#include "vitrail/data/sources/register_source.h"
#include "vitrail/recipes/build/build_data.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace vitrail;
using recipes::DataConfig;
using recipes::TrainCrop;

namespace {

data::Image numbered(int64_t height, int64_t width) {
  data::Image image(height, width);
  for (int64_t i = 0; i < 3 * height * width; ++i) image.data()[i] = uint8_t(i * 7 % 251);
  return image;
}

}  // namespace

TEST_CASE("the evaluation transform resizes the shorter side and crops the middle") {
  Rng rng(1, "eval");
  const data::Image photo = numbered(300, 400);
  const data::Image expected = data::center_crop(data::resize(photo, {256, 341}, data::Filter::bicubic), 224);
  CHECK(recipes::eval_preprocessing(DataConfig{}).transform().augmented(photo, rng) == expected);
  DataConfig small;
  small.img_size = 32;
  small.crop = TrainCrop::pad;
  CHECK(recipes::eval_preprocessing(small).transform().augmented(numbered(32, 32), rng) == numbered(32, 32));
}

TEST_CASE("the training transform depends on the random numbers alone") {
  const data::Image photo = numbered(64, 64);
  for (const TrainCrop crop : {TrainCrop::random_resized, TrainCrop::pad}) {
    DataConfig config;
    config.img_size = 64;
    config.crop = crop;
    const data::ImageTransform transform = recipes::train_transform(config);
    const auto run = [&](uint64_t sample) {
      Rng rng(7, "augment", sample);
      return transform.augmented(photo, rng);
    };
    CHECK(run(1).size() == data::ImageSize{64, 64});
    CHECK(run(1) == run(1));
    CHECK_FALSE(run(1) == run(2));
    Tensor out = Tensor::empty({3, 64, 64}), expected = Tensor::empty({3, 64, 64});
    Rng rng(7, "augment", 1);
    transform(photo, rng, out.span<float>());
    data::Normalize(data::kImageNetMean, data::kImageNetStd)(run(1), expected.span<float>());
    CHECK(test::max_difference(out, expected) == 0);
  }
}

TEST_CASE("the training transform takes colour jitter, or RandAugment in its place, then erases") {
  const data::Image photo = numbered(32, 32);
  DataConfig config;
  config.img_size = 32;
  config.crop = TrainCrop::none;
  config.hflip = 0;
  const auto run = [&] {
    Rng rng(7, "augment");
    return recipes::train_transform(config).augmented(photo, rng);
  };
  CHECK(run() == photo);

  config.color_jitter = {0.4, 0.3, 0.2, 0.1};
  Rng rng(7, "augment");
  const data::ColorJitter jitter({0.4, 0.3, 0.2, 0.1});
  CHECK(run() == jitter.apply(photo, jitter.sample(rng, photo.size())));

  config.auto_augment = "rand-m9-n4-p1-mstd0.5-inc1";
  Rng again(7, "augment");
  data::RandAugment::Config policy = data::parse_rand_augment(*config.auto_augment);
  policy.warp = {data::Filter::bicubic, {124, 116, 104}};
  const data::RandAugment augment(policy);
  CHECK(run() == augment.apply(photo, augment.sample(again, photo.size())));

  config.auto_augment = "trivial";
  CHECK_THROWS_WITH_AS(run(), doctest::Contains("'trivial' does not begin with 'rand'"), ConfigError);

  DataConfig erasing;
  erasing.img_size = 32;
  erasing.crop = TrainCrop::none;
  erasing.hflip = 0;
  erasing.random_erasing = 1;
  erasing.random_erasing_mode = data::EraseFill::constant;
  Tensor out = Tensor::empty({3, 32, 32});
  Rng other(7, "augment");
  recipes::train_transform(erasing)(photo, other, out.span<float>());
  const auto values = out.span<float>();
  CHECK(std::count(values.begin(), values.end(), 0.0f) >= 3 * 20);
}

TEST_CASE("data.root names data of a source that the program registered") {
  data::register_source({.name = "grey",
                         .recognises = [](const std::string& path) { return path == "grey"; },
                         .open =
                             [](const std::string& path, std::string_view, const data::SourceOptions& options) {
                               data::PixelArray array;
                               array.images = full({4, 2, 2, 3}, 128, DType::u8);
                               array.labels = {0, 1, 0, 1};
                               array.sources = {{path, 4}};
                               return data::make_array_dataset(std::move(array), options);
                             }});
  DataConfig config;
  config.root = "grey";
  config.img_size = 2;
  recipes::ImageData images(config, 0);
  CHECK(images.classes() == 2);
  const auto batch = images.train_loader(4, 1, {})->next();
  REQUIRE(batch);
  CHECK((*batch)["images"].shape() == Shape{4, 3, 2, 2});
}
