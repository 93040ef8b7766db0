#include "data/sampler.h"

#include "core/rng.h"

#include <numeric>

namespace vitrail::data {

std::vector<int64_t> Sampler::order(int64_t epoch) const {
  if (shuffle_) return Rng(seed_, "shuffle", uint64_t(epoch)).permutation(size_);
  std::vector<int64_t> order(static_cast<size_t>(size_));
  std::iota(order.begin(), order.end(), int64_t{0});
  return order;
}

}  // namespace vitrail::data
