// Parts of images in the loader: the same crops from fewer pixels.
#include "tests/data/image_files.h"
#include "tests/data/jpeg_decoders.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/data/augment/center_crop.h"
#include "vitrail/data/augment/color.h"
#include "vitrail/data/augment/flip.h"
#include "vitrail/data/augment/image_transform.h"
#include "vitrail/data/augment/multi_crop.h"
#include "vitrail/data/augment/pad_random_crop.h"
#include "vitrail/data/augment/random_apply.h"
#include "vitrail/data/augment/random_resized_crop.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/load/image_batch.h"
#include "vitrail/data/load/loader.h"
#include "vitrail/data/sources/image_folder.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>

namespace vitrail::data {
namespace {

/// JPEGs of 75 x 53 and an image of another kind.
std::unique_ptr<Dataset> scenes(const test::TemporaryFolder& folder) {
  for (const char* name : {"scene_420.jpg", "scene_orientation6.jpg", "scene_progressive.jpg", "rgba.png"})
    test::write_text(folder.path() / name, test::image_file(name));
  return open_image_folder(folder.path().string());
}

ImageTransform crops_of(int64_t size) {
  Pipeline steps;
  steps.add(RandomResizedCrop({.size = size}))
      .add(HorizontalFlip(0.5))
      .add(RandomApply(0.8, ColorJitter({0.4, 0.4, 0.2, 0.1})));
  return {std::move(steps), {kImageNetMean, kImageNetStd}, RandomErasing({.probability = 0.5})};
}

/// Two global views and two local ones.
MultiCrop views_of(int64_t size) {
  MultiCrop::Config config;
  config.global_size = size;
  config.local_size = size / 2;
  config.local_count = 2;
  return MultiCrop(config);
}

std::vector<Batch> batches(ImageBatch images) {
  LoaderOptions options;
  options.batch_size = 4;
  options.epochs = 5;
  options.seed = 3;
  Loader loader(std::move(images), options);
  std::vector<Batch> all;
  while (auto batch = loader.next()) all.push_back(*std::move(batch));
  return all;
}

/// The root of the mean squared difference of all values, and whether some differ.
double difference(const std::vector<Batch>& a, const std::vector<Batch>& b, const char* name) {
  REQUIRE(a.size() == b.size());
  double sum = 0;
  int64_t count = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].indices == b[i].indices);
    const auto x = a[i][name].span<float>(), y = b[i][name].span<float>();
    REQUIRE(x.size() == y.size());
    for (size_t k = 0; k < x.size(); ++k, ++count) sum += double(x[k] - y[k]) * double(x[k] - y[k]);
  }
  return std::sqrt(sum / double(count));
}

}  // namespace

TEST_CASE("request_for: the box of all, and the largest shrink that serves each") {
  const Demand far{{10, 20, 400, 800}, {100, 100}}, near{{0, 300, 60, 100}, {50, 50}};
  const auto shrink = [](const std::vector<Demand>& demands) { return request_for(demands).shrink; };
  CHECK(shrink({far}) == 4);
  CHECK(shrink({near}) == 1);
  CHECK(shrink({{{0, 0, 1600, 1600}, {200, 200}}}) == 8);
  CHECK(shrink({{{0, 0, 1599, 1600}, {200, 200}}}) == 4);
  CHECK(shrink({{{0, 0, 99999, 99999}, {2, 2}}}) == 8);
  CHECK(shrink({far, near}) == 1);
  CHECK(request_for(std::vector<Demand>{far, near}).box == Box{0, 20, 410, 800});
  CHECK_THROWS_AS(request_for({}), ShapeError);
}

TEST_CASE("crops that need the full resolution are equal, from parts or from whole images") {
  test::with_each_decoder([] {
    const test::TemporaryFolder folder;
    const auto set = scenes(folder);
    BadFiles bad;
    const ImageTransform crop = crops_of(64);
    const Views one{{3, 64, 64}};
    CHECK(difference(batches({*set, crop, one.shape, bad}), batches({*set, by_parts(crop), {one}, bad}), "images") ==
          0);
    const MultiCrop views = views_of(64);
    const auto whole = batches({*set, views, views.views(), bad}),
               parts = batches({*set, by_parts(views), views.views(), bad});
    CHECK(difference(whole, parts, "global_crops") == 0);
    CHECK(difference(whole, parts, "local_crops") == 0);
  });
}

TEST_CASE("crops that are much smaller than the image are near, from fewer pixels") {
  if (!test::has_turbo()) return;
  const test::TemporaryFolder folder;
  const auto set = scenes(folder);
  BadFiles bad;
  // A crop from another place differs by more than one standard deviation.
  constexpr double kNear = 0.35, kFar = 1;
  const ImageTransform crop = crops_of(8);
  const Views one{{3, 8, 8}};
  const auto whole = batches({*set, crop, one.shape, bad}), parts = batches({*set, by_parts(crop), {one}, bad});
  CHECK(difference(whole, parts, "images") > 0);
  CHECK(difference(whole, parts, "images") < kNear);
  auto shifted = whole;
  std::rotate(shifted.begin(), shifted.begin() + 1, shifted.end());
  for (size_t i = 0; i < shifted.size(); ++i) shifted[i].indices = whole[i].indices;
  CHECK(difference(whole, shifted, "images") > kFar);

  const MultiCrop views = views_of(12);
  const auto all = batches({*set, views, views.views(), bad}),
             few = batches({*set, by_parts(views), views.views(), bad});
  CHECK(difference(all, few, "global_crops") > 0);
  CHECK(difference(all, few, "global_crops") < kNear);
  CHECK(difference(all, few, "local_crops") < kNear);

  Pipeline steps;
  steps.add(ResizeCenterCrop(12, 10));
  const ImageTransform centre(std::move(steps), {kImageNetMean, kImageNetStd});
  const Views ten{{3, 10, 10}};
  const double off =
      difference(batches({*set, centre, ten.shape, bad}), batches({*set, by_parts(centre), {ten}, bad}), "images");
  CHECK(off > 0);
  CHECK(off < kNear);
}

TEST_CASE("a pipeline's demand draws what a call draws") {
  const MultiCrop views = views_of(12);
  const Image image(200, 300);
  Rng rng(5, "views"), same(5, "views");
  const PartRequest request = views.request(image.size(), rng);
  CHECK(request.shrink >= 2);
  CHECK(request.box.height > 60);
  views.augmented(image, rng);
  Pipeline first, second;
  first.add(RandomResizedCrop({.size = 12})).add(HorizontalFlip(0.5)).add(ColorJitter({0.4, 0.4, 0.2, 0.1}));
  Rng drawn(9, "draws"), called(9, "draws");
  first.demand(image.size(), drawn);
  first(image, called);
  CHECK(drawn.uniform(0, 1) == called.uniform(0, 1));
  // A first step that reads all of the image, and no step at all.
  second.add(PadRandomCrop(12));
  CHECK_FALSE(second.demand(image.size(), drawn).has_value());
  CHECK_FALSE(Pipeline().demand(image.size(), drawn).has_value());
  ImagePart part{Image(20, 30)};
  CHECK(second(part, drawn).size() == ImageSize{12, 12});
  part.whole = {40, 60};
  CHECK_THROWS_WITH_AS(second(part, drawn), doctest::Contains("needs all of an image of 40 x 60"), ShapeError);
  CHECK_THROWS_AS(resized_crop(part, {0, 0, 21, 30}, {5, 5}, Filter::bicubic), ShapeError);
}

TEST_CASE("a broken image is replaced, from parts as from whole images") {
  const test::TemporaryFolder folder;
  const auto set = scenes(folder);
  test::write_text(folder.path() / "scene_420.jpg", test::image_file("scene_420.jpg").substr(0, 700));
  BadFiles bad(OnError::skip, 0.5);
  const ImageTransform crop = crops_of(64);
  const auto parts = batches({*set, by_parts(crop), {Views{{3, 64, 64}}}, bad});
  REQUIRE(parts.size() == 5);
  CHECK(parts[0].indices == std::vector<int64_t>{0, 2, 2, 3});
  REQUIRE(bad.list().size() == 1);
  CHECK(bad.list()[0].name.ends_with("scene_420.jpg"));
  BadFiles strict;
  CHECK_THROWS_AS(batches({*set, by_parts(crop), {Views{{3, 64, 64}}}, strict}), DataError);
}

}  // namespace vitrail::data
