// The order of the samples in an epoch: a function of (size, repeats, seed, epoch) alone.
#pragma once

#include <cstdint>
#include <vector>

namespace vitrail::data {

/// Gives every sample once in an epoch. With repeats, gives some of them several times in a row (repeated
/// augmentation).
///
/// Repeats keep the length of an epoch: size, or the largest multiple of 256 below it if size is at least 256. So an
/// epoch sees only 1 / repeats of the samples.
/// Source: Hoffer et al. 2020 (arXiv:1901.09335); the length as in DeiT's RASampler, in one process.
class Sampler final {
 public:
  /// Without shuffle the order is 0, 1, ..., size - 1. Throws ConfigError for repeats below 1.
  Sampler(int64_t size, bool shuffle, uint64_t seed, int64_t repeats = 1);

  /// Samples in an epoch.
  int64_t length() const;
  /// length() indices.
  std::vector<int64_t> order(int64_t epoch) const;
  /// How many times the sample at a position of the order has already come in a row: 0 to repeats - 1.
  int64_t repeat(int64_t position) const { return position % repeats_; }

 private:
  int64_t size_;
  bool shuffle_;
  uint64_t seed_;
  int64_t repeats_;
};

}  // namespace vitrail::data
