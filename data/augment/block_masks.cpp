#include "vitrail/data/augment/block_masks.h"

#include "vitrail/core/error.h"
#include "vitrail/data/image/resize.h"

#include <algorithm>
#include <cmath>

namespace vitrail::data {
namespace {

constexpr int kTriesOfABlock = 10;  // blocks drawn for one addition

/// The patches that the block adds to the mask.
int64_t count_new(const std::vector<uint8_t>& mask, int64_t width, const Box& block) {
  int64_t count = 0;
  for (int64_t y = block.top; y < block.top + block.height; ++y)
    for (int64_t x = block.left; x < block.left + block.width; ++x) count += mask[size_t(y * width + x)] == 0;
  return count;
}

}  // namespace

BlockMasks::BlockMasks(int64_t height, int64_t width, const Config& c) : height_(height), width_(width), config_(c) {
  check<ConfigError>(height > 1 && width > 1, "masks", "the grid is {} x {}; both sides need 2 patches or more", height,
                     width);
  check<ConfigError>(0 <= c.probability && c.probability <= 1, "masks", "probability is {}; it must be in 0 to 1",
                     c.probability);
  check<ConfigError>(0 <= c.min_ratio && c.min_ratio <= c.max_ratio && c.max_ratio <= 1, "masks",
                     "ratios are {} and {}; they must rise within 0 to 1", c.min_ratio, c.max_ratio);
  check<ConfigError>(c.min_patches >= 1 && 0 < c.min_aspect && c.min_aspect <= 1, "masks",
                     "min_patches is {} and min_aspect {}; they must be at least 1 and in 0 to 1", c.min_patches,
                     c.min_aspect);
}

std::vector<uint8_t> BlockMasks::sample(Rng& rng, int64_t target) const {
  std::vector<uint8_t> mask(size_t(height_ * width_));
  const int64_t largest = height_ / 2 * width_;  // of a block
  const double log_aspect = std::log(config_.min_aspect);
  // Draws one block of at most `limit` new patches and masks it. Returns how many are new; 0 if no try fits.
  const auto add_block = [&](int64_t limit) -> int64_t {
    for (int i = 0; i < kTriesOfABlock; ++i) {
      const double area = rng.uniform(double(config_.min_patches), double(limit));
      const double aspect = std::exp(rng.uniform(log_aspect, -log_aspect));
      Box block{.height = std::llrint(std::sqrt(area * aspect)), .width = std::llrint(std::sqrt(area / aspect))};
      if (block.height >= height_ || block.width >= width_) continue;
      block.top = rng.below(height_ - block.height + 1);
      block.left = rng.below(width_ - block.width + 1);
      const int64_t added = count_new(mask, width_, block);
      if (added == 0 || added > limit) continue;
      for (int64_t y = block.top; y < block.top + block.height; ++y)
        std::fill_n(mask.begin() + y * width_ + block.left, block.width, uint8_t(1));
      return added;
    }
    return 0;
  };
  for (int64_t masked = 0; masked < target;) {
    const int64_t added = add_block(std::min(target - masked, largest));
    if (added == 0) break;
    masked += added;
  }
  return mask;
}

Tensor BlockMasks::batch(Rng& rng, int64_t images) const {
  const int64_t patches = height_ * width_, masked = int64_t(double(images) * config_.probability);
  // The ratio of the i-th of n masked images is drawn between edges i and i + 1 of n + 1 even ones.
  const auto edge = [&](int64_t i) {
    return config_.min_ratio +
           (config_.max_ratio - config_.min_ratio) * double(i) / double(std::max<int64_t>(1, masked));
  };
  std::vector<std::vector<uint8_t>> masks;
  for (int64_t i = 0; i < masked; ++i)
    masks.push_back(sample(rng, int64_t(double(patches) * rng.uniform(edge(i), edge(i + 1)))));
  masks.resize(size_t(images), std::vector<uint8_t>(size_t(patches)));

  std::vector<uint8_t> shuffled;
  for (const int64_t i : rng.permutation(images))
    shuffled.insert(shuffled.end(), masks[size_t(i)].begin(), masks[size_t(i)].end());
  return tensor(shuffled, {images, patches});
}

}  // namespace vitrail::data
