// BlockMasks: random masks of rectangular blocks of patches, for masked image modelling.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/core/tensor.h"

#include <cstdint>
#include <vector>

namespace vitrail::data {

/// Masks for a grid of patches. A share of the images gets one; how much of an image is masked rises evenly from one
/// masked image to the next, and the masks are then shuffled over the images.
/// Source: Bao et al. 2022 (arXiv:2106.08254), algorithm 1; numbers as in DINOv2.
class BlockMasks final {
 public:
  struct Config {
    double probability = 0.5;                 // share of the images with a mask, rounded down
    double min_ratio = 0.1, max_ratio = 0.5;  // masked share of the patches of such an image
    int64_t min_patches = 4;                  // of a block, before its sides are rounded
    double min_aspect = 0.3;                  // height / width; the largest is 1 / min_aspect
  };
  /// height, width: of the grid. Throws ConfigError for bounds that cannot be used.
  BlockMasks(int64_t height, int64_t width, const Config& config);

  /// One mask [height width], row by row: 1 for at most `target` masked patches. It ends below the target if ten blocks
  /// in a row mask nothing new.
  std::vector<uint8_t> sample(Rng& rng, int64_t target) const;
  /// The masks of a batch: u8 [images, height width].
  Tensor batch(Rng& rng, int64_t images) const;

 private:
  int64_t height_, width_;
  Config config_;
};

}  // namespace vitrail::data
