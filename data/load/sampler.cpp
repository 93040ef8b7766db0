#include "vitrail/data/load/sampler.h"

#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"

#include <numeric>

namespace vitrail::data {

Sampler::Sampler(int64_t size, bool shuffle, uint64_t seed, int64_t repeats)
    : size_(size), shuffle_(shuffle), seed_(seed), repeats_(repeats) {
  check<ConfigError>(repeats >= 1, "sampler", "repeats is {}; it must be at least 1", repeats);
}

int64_t Sampler::length() const {
  constexpr int64_t kRound = 256;
  return repeats_ == 1 || size_ < kRound ? size_ : size_ / kRound * kRound;
}

std::vector<int64_t> Sampler::order(int64_t epoch) const {
  std::vector<int64_t> order(static_cast<size_t>(size_));
  if (shuffle_)
    order = Rng(seed_, "shuffle", uint64_t(epoch)).permutation(size_);
  else
    std::iota(order.begin(), order.end(), int64_t{0});
  if (repeats_ == 1) return order;
  std::vector<int64_t> repeated(static_cast<size_t>(length()));
  for (size_t i = 0; i < repeated.size(); ++i) repeated[i] = order[i / size_t(repeats_)];
  return repeated;
}

}  // namespace vitrail::data
