#include "data/resize.h"
#include "recipes/build_data.h"
#include "tests/support/close.h"

#include <doctest/doctest.h>

using namespace vitrail;
using recipes::DataConfig;

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
  CHECK(recipes::eval_transform(DataConfig{}).augmented(photo, rng) == expected);
  DataConfig small;
  small.img_size = 32;
  small.crop = "pad";
  CHECK(recipes::eval_transform(small).augmented(numbered(32, 32), rng) == numbered(32, 32));
}

TEST_CASE("the training transform depends on the random numbers alone") {
  const data::Image photo = numbered(64, 64);
  for (const char* crop : {"random_resized", "pad"}) {
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
