#include "tests/data/samples.h"
#include "tests/support/close.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/hdf5.h"
#include "vitrail/data/augment/color.h"
#include "vitrail/data/augment/rand_augment.h"
#include "vitrail/data/image/resize.h"
#include "vitrail/data/sources/array_dataset.h"
#include "vitrail/data/sources/register_source.h"
#include "vitrail/recipes/build/build_data.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

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
  const DataConfig config;
  CHECK(recipes::eval_preprocessing(config).transform().augmented(photo, rng) == expected);
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
  test::write_file(folder.path() / "train/cat/1.tiff", "x");
  DataConfig config;
  config.root = folder.path().string();
  CHECK_THROWS_WITH_AS(recipes::open_parts(config), doctest::Contains("has the one class 'cat'"), DataError);
  CHECK_THROWS_WITH_AS(recipes::open_parts(config), doctest::Contains("1 file is of a kind that is not read (.tiff)"),
                       DataError);
}

namespace {

/// Writes an 8 x 8 image to each of the paths.
void write_images(const std::filesystem::path& folder, std::initializer_list<const char*> paths) {
  for (const char* path : paths) test::write_file(folder / path, test::bmp({1, 2, 3}, 8, 8));
}

/// An IDX part of 1 x 1 images with these labels.
void write_idx(const std::filesystem::path& folder, const std::string& part, const std::string& labels) {
  const std::string count{'\0', '\0', '\0', char(labels.size())}, one{'\0', '\0', '\0', '\1'},
      zeros{'\0', '\0', '\x08'};
  test::write_file(folder / (part + "-images-idx3-ubyte"), zeros + '\3' + count + one + one + labels);
  test::write_file(folder / (part + "-labels-idx1-ubyte"), zeros + '\1' + count + labels);
}

std::vector<int64_t> labels_of(const data::Dataset& dataset) {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < dataset.size(); ++i) labels.push_back(dataset.label(i));
  return labels;
}

}  // namespace

TEST_CASE("a validation part may lack the largest label, and training may not") {
  const test::TemporaryFolder folder;
  write_idx(folder.path() / "val", "train", {0, 1, 2});
  write_idx(folder.path() / "val", "test", {1, 0});
  DataConfig config;
  config.root = (folder.path() / "val").string();
  const auto parts = recipes::open_parts(config);
  CHECK(parts.train->classes().size() == 3);
  CHECK(parts.val->classes() == parts.train->classes());
  CHECK(labels_of(*parts.val) == std::vector<int64_t>{1, 0});
  CHECK(parts.notes.empty());

  write_idx(folder.path() / "train", "train", {0, 1, 1});
  write_idx(folder.path() / "train", "test", {1, 2});
  config.root = (folder.path() / "train").string();
  CHECK_THROWS_WITH_AS(recipes::open_parts(config), doctest::Contains("unknown there: 2; missing here: none"),
                       DataError);

  hdf5::save(folder.path() / "val.h5", [](hdf5::Writer& file) {
    for (const auto& [part, labels] :
         {std::pair{"train", tensor<int64_t>({2, 0, 1}, {3})}, std::pair{"val", tensor<int64_t>({1, 0}, {2})}}) {
      file.write(std::string(part) + "/image", zeros({labels.size(0), 2, 2, 3}, DType::u8));
      file.write(std::string(part) + "/label", labels);
    }
  });
  config.root = (folder.path() / "val.h5").string();
  CHECK(recipes::open_parts(config).val->classes().size() == 3);
}

TEST_CASE("parts with the same classes in another order are matched by name") {
  const test::TemporaryFolder folder;
  hdf5::save(folder.path() / "parts.h5", [](hdf5::Writer& file) {
    for (const auto& [part, classes] : {std::pair{"train", "a\nb\nc"}, std::pair{"val", "c\na"}}) {
      file.write(std::string(part) + "/image", zeros({2, 2, 2, 3}, DType::u8));
      file.write(std::string(part) + "/label", tensor<int64_t>({0, 1}, {2}));
      file.attribute(part, "classes", std::string(classes));
    }
  });
  DataConfig config;
  config.root = (folder.path() / "parts.h5").string();
  const auto parts = recipes::open_parts(config);
  CHECK(labels_of(*parts.val) == std::vector<int64_t>{2, 0});
  CHECK(parts.val->classes() == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE("data.val_root is another place to evaluate on, and undivided data is taken whole") {
  const test::TemporaryFolder folder;
  write_images(folder.path(), {"mine/train/a/1.bmp", "mine/train/b/2.bmp", "mine/val/a/3.bmp", "other/b/4.bmp",
                               "other/b/5.bmp", "odd/c/6.bmp", "odd/a/7.bmp"});
  DataConfig config;
  config.root = (folder.path() / "mine").string();
  CHECK(recipes::evaluated_name(config) == "val of " + config.root);
  CHECK(recipes::open_parts(config).val->size() == 1);
  config.val_root = (folder.path() / "other").string();
  CHECK(recipes::evaluated_name(config) == config.val_root);
  const auto parts = recipes::open_parts(config);
  CHECK(parts.train->size() == 2);
  CHECK(labels_of(*parts.val) == std::vector<int64_t>{1, 1});
  config.val_root = (folder.path() / "odd").string();
  CHECK_THROWS_WITH_AS(recipes::open_parts(config), doctest::Contains("unknown there: c; missing here: b"), DataError);
  config.root = config.val_root;
  config.val_root.clear();
  CHECK_THROWS_AS(recipes::open_parts(config), DataError);  // nobody evaluates on training images unasked
  CHECK(recipes::open_evaluated(config)->size() == 2);
}

TEST_CASE("data.val_root counts before data.val_fraction, and a note says so") {
  const test::TemporaryFolder folder;
  write_images(folder.path(), {"mine/a/1.bmp", "mine/a/2.bmp", "mine/b/3.bmp", "mine/b/4.bmp", "other/b/5.bmp"});
  DataConfig config;
  config.root = (folder.path() / "mine").string();
  config.val_fraction = 0.5;
  CHECK(recipes::open_parts(config).train->size() == 2);
  config.val_root = (folder.path() / "other").string();
  const auto parts = recipes::open_parts(config);
  CHECK(parts.train->size() == 4);
  CHECK(parts.val->size() == 1);
  REQUIRE(parts.notes.size() == 1);
  CHECK(parts.notes[0].find("so data.val_fraction holds back none") != std::string::npos);
}

TEST_CASE("images to evaluate on without labels are refused with a way forward") {
  const test::TemporaryFolder folder;
  write_images(folder.path(), {"train/a/1.bmp", "train/a/2.bmp", "train/b/3.bmp", "train/b/4.bmp", "test/5.bmp"});
  DataConfig config;
  config.root = folder.path().string();
  CHECK_THROWS_WITH_AS(recipes::open_parts(config), doctest::Contains("no labels in its part 'val'; data.val_fraction"),
                       DataError);
  config.val_fraction = 0.5;
  CHECK(recipes::open_parts(config).val->size() == 2);
}

TEST_CASE("data.classes gives the classes of both parts") {
  const test::TemporaryFolder folder;
  write_images(folder.path(), {"train/n01/1.bmp", "train/n02/2.bmp", "train/n03/3.bmp", "val/n03/4.bmp"});
  test::write_text(folder.path() / "names.txt", "n03\tcat\nn01\tdog\nn02\tcat\n");
  DataConfig config;
  config.root = folder.path().string();
  config.classes = (folder.path() / "names.txt").string();
  const recipes::ImageData images(config, 0);
  CHECK(images.class_names() == std::vector<std::string>{"cat", "dog"});
  const auto parts = recipes::open_parts(config);
  CHECK(labels_of(*parts.train) == std::vector<int64_t>{1, 0, 0});
  CHECK(labels_of(*parts.val) == std::vector<int64_t>{0});
}

TEST_CASE("broken validation images are left out, broken training images are replaced") {
  const test::TemporaryFolder folder;
  write_images(folder.path(), {"train/a/1.bmp", "train/b/1.bmp", "train/b/2.bmp", "val/a/1.bmp", "val/b/1.bmp"});
  for (const char* path : {"train/a/0.bmp", "val/a/2.bmp"}) test::write_file(folder.path() / path, "no image");
  DataConfig config;
  config.root = folder.path().string();
  config.img_size = 8;
  config.crop = TrainCrop::none;
  config.on_error = data::OnError::skip;
  config.max_bad = 0.5;
  recipes::ImageData images(config, 0);
  CHECK(images.val_size() == 3);
  const auto val = images.val_loader(4)->next(), train = images.train_loader(4, 1, {})->next();
  REQUIRE(val);
  REQUIRE(train);
  CHECK((*val)["labels"].to_vector() == std::vector<double>{0, 1});
  CHECK((*val)["images"].shape() == Shape{2, 3, 8, 8});
  CHECK(train->size() == 4);
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
