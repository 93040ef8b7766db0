// Which picture comes when: the order of an epoch, a function of (size, seed, epoch) alone.
#pragma once

#include <cstdint>
#include <vector>

namespace vitrail::data {

class Sampler final {
 public:
  /// Without shuffle every epoch is 0, 1, ..., size - 1.
  Sampler(int64_t size, bool shuffle, uint64_t seed) : size_(size), shuffle_(shuffle), seed_(seed) {}

  int64_t size() const { return size_; }
  /// Every index once.
  std::vector<int64_t> order(int64_t epoch) const;

 private:
  int64_t size_;
  bool shuffle_;
  uint64_t seed_;
};

}  // namespace vitrail::data
