#include "vitrail/core/error.h"
#include "vitrail/data/augment/block_masks.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

using namespace vitrail;
using vitrail::data::BlockMasks;

namespace {

int64_t count(const std::vector<uint8_t>& mask) { return std::accumulate(mask.begin(), mask.end(), int64_t{0}); }

/// The masked patches of each image.
std::vector<int64_t> counts(const Tensor& masks) {
  std::vector<int64_t> result;
  for (int64_t i = 0; i < masks.size(0); ++i) {
    const std::vector<double> row = masks.select(0, i).to_vector();
    result.push_back(int64_t(std::accumulate(row.begin(), row.end(), 0.0)));
  }
  return result;
}

}  // namespace

TEST_CASE("a mask has at most as many patches as asked for, and nearly as many") {
  const BlockMasks masks(14, 14, {});
  double share = 0;
  for (uint64_t i = 0; i < 500; ++i) {
    Rng rng(1, "mask", i);
    const int64_t target = 20 + int64_t(i) % 79;
    const auto mask = masks.sample(rng, target);
    CHECK(mask.size() == 196);
    CHECK(count(mask) <= target);
    share += double(count(mask)) / double(target) / 500;
  }
  CHECK(share > 0.95);
  Rng rng(1, "mask");
  CHECK(count(masks.sample(rng, 0)) == 0);
}

TEST_CASE("masked patches lie together, in blocks") {
  const BlockMasks masks(16, 16, {});
  double neighbours = 0, patches = 0;
  for (uint64_t i = 0; i < 100; ++i) {
    Rng rng(2, "mask", i);
    const auto mask = masks.sample(rng, 64);
    for (int64_t y = 0; y < 16; ++y)
      for (int64_t x = 0; x + 1 < 16; ++x) {
        patches += mask[size_t(16 * y + x)];
        neighbours += mask[size_t(16 * y + x)] * mask[size_t(16 * y + x + 1)];
      }
  }
  CHECK(neighbours / patches > 0.6);  // 0.25 for patches drawn one by one
}

TEST_CASE("half of the images of a batch get masks, of evenly rising size, in random places") {
  const BlockMasks masks(14, 14, {});
  Rng rng(3, "masks", 7);
  const Tensor batch = masks.batch(rng, 64);
  CHECK(batch.shape() == Shape{64, 196});
  CHECK(batch.dtype() == DType::u8);
  std::vector<int64_t> sizes = counts(batch);
  CHECK(std::count(sizes.begin(), sizes.end(), 0) == 32);
  CHECK_FALSE(std::is_sorted(sizes.begin(), sizes.end()));
  std::sort(sizes.begin(), sizes.end());
  for (int64_t i = 0; i < 32; ++i) {
    const double upper = 196 * (0.1 + 0.4 * double(i + 1) / 32);
    CHECK(double(sizes[size_t(32 + i)]) <= upper);
  }
  CHECK(sizes.back() > 80);
  Rng again(3, "masks", 7), other(3, "masks", 8);
  CHECK(counts(masks.batch(again, 64)) == counts(batch));
  CHECK(counts(masks.batch(other, 64)) != counts(batch));
  CHECK(counts(BlockMasks(14, 14, {.probability = 0}).batch(other, 4)) == std::vector<int64_t>(4));
  CHECK(counts(masks.batch(other, 1)) == std::vector<int64_t>{0});
}

TEST_CASE(
    "the number of masked images is half of the views, rounded down, and no mask exceeds its share of the patches") {
  for (const int64_t images : {2, 3, 6, 7, 128}) {
    CAPTURE(images);
    for (const int64_t side : {14, 16, 37}) {
      CAPTURE(side);
      Rng rng(5, "masks", uint64_t(images * side));
      std::vector<int64_t> sizes = counts(BlockMasks(side, side, {}).batch(rng, images));
      std::sort(sizes.rbegin(), sizes.rend());
      CHECK(std::count_if(sizes.begin(), sizes.end(), [](int64_t n) { return n > 0; }) == images / 2);
      CHECK(sizes[0] <= side * side / 2);
    }
  }
}

TEST_CASE("bounds of masks that cannot be used are refused") {
  CHECK_THROWS_WITH_AS(BlockMasks(1, 8, {}), doctest::Contains("the grid is 1 x 8"), ConfigError);
  CHECK_THROWS_WITH_AS(BlockMasks(8, 8, {.probability = 2}), doctest::Contains("probability is 2"), ConfigError);
  CHECK_THROWS_WITH_AS(BlockMasks(8, 8, {.min_ratio = 0.6}), doctest::Contains("ratios are 0.6 and 0.5"), ConfigError);
  CHECK_THROWS_AS(BlockMasks(8, 8, {.min_aspect = 0}), ConfigError);
}
