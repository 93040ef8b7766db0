#include "tests/data/samples.h"
#include "tests/support/close.h"
#include "tests/support/temporary_folder.h"
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

TEST_CASE("data.val_fraction holds back a share of each class of data without a validation part") {
  const test::TemporaryFolder folder;
  const auto add = [&](const std::string& name, int count) {
    for (int i = 0; i < count; ++i)
      test::write_file(folder.path() / name / (std::to_string(i) + ".bmp"), test::bmp({1, 2, 3}));
  };
  add("mine/cat", 12);
  add("mine/dog", 4);
  DataConfig config;
  config.root = (folder.path() / "mine").string();
  CHECK_THROWS_WITH_AS(recipes::open_parts(config), doctest::Contains("data.val_fraction=0.1"), DataError);
  config.val_fraction = 0.25;
  const auto parts = recipes::open_parts(config);
  const auto count = [](const data::Dataset& part, int64_t label) {
    int64_t images = 0;
    for (int64_t i = 0; i < part.size(); ++i) images += part.label(i) == label;
    return images;
  };
  CHECK(count(*parts.train, 0) == 9);
  CHECK(count(*parts.val, 0) == 3);
  CHECK(count(*parts.train, 1) == 3);
  CHECK(count(*parts.val, 1) == 1);
  CHECK(recipes::open_labelled(config, "val")->name(0) == parts.val->name(0));
  config.val_seed = 1;
  const auto other = recipes::open_parts(config);
  bool differs = false;
  for (int64_t i = 0; i < other.val->size(); ++i) differs |= other.val->name(i) != parts.val->name(i);
  CHECK(differs);
  config.val_split = "train";
  CHECK_THROWS_WITH_AS(recipes::open_parts(config), doctest::Contains("data.val_split must have another name"),
                       ConfigError);

  add("parted/train/cat", 8);
  add("parted/train/dog", 8);
  add("parted/test/cat", 1);
  DataConfig parted;
  parted.root = (folder.path() / "parted").string();
  parted.val_fraction = 0.25;
  CHECK(recipes::open_parts(parted).val->size() == 4);  // of train; the part test stays aside
  add("parted/val/cat", 1);
  CHECK_THROWS_WITH_AS(recipes::open_parts(parted), doctest::Contains("has a part 'val' already"), ConfigError);
}

TEST_CASE("data.val_fraction divides images with captions too") {
  const test::TemporaryFolder folder;
  std::string table = "path\tcaption\n";
  for (int i = 0; i < 8; ++i) {
    test::write_file(folder.path() / (std::to_string(i) + ".bmp"), test::bmp({1, 2, 3}));
    for (const char* text : {"\ta\n", "\tb\n"}) table += std::to_string(i) + ".bmp" + text;
  }
  test::write_text(folder.path() / "captions.tsv", table);
  DataConfig config;
  config.root = folder.path().string();
  config.val_fraction = 0.25;
  const data::Pairs train = recipes::open_captioned(config, "train", {}),
                    val = recipes::open_captioned(config, "val", {});
  CHECK(train.images->size() == 6);
  CHECK(val.images->size() == 2);
  CHECK(val.captions == std::vector<std::vector<std::string>>{{"a", "b"}, {"a", "b"}});
}

TEST_CASE("a classifier of one class is refused") {
  const test::TemporaryFolder folder;
  for (const char* file : {"train/cat/1.bmp", "val/cat/1.bmp"})
    test::write_file(folder.path() / file, test::bmp({1, 2, 3}));
  test::write_file(folder.path() / "train/cat/1.webp", "x");
  DataConfig config;
  config.root = folder.path().string();
  CHECK_THROWS_WITH_AS(recipes::open_parts(config), doctest::Contains("has the one class 'cat'"), DataError);
  CHECK_THROWS_WITH_AS(recipes::open_parts(config), doctest::Contains("1 file is of a kind that is not read (.webp)"),
                       DataError);
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
