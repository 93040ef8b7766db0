#include "data/sampler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

namespace vitrail::data {

TEST_CASE("an epoch's order is a permutation that depends on size, seed and epoch alone") {
  for (const int64_t size : {1, 2, 7, 1000}) {
    const Sampler sampler(size, true, 5);
    std::vector<int64_t> all(static_cast<size_t>(size));
    std::iota(all.begin(), all.end(), int64_t{0});
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      const auto order = sampler.order(epoch);
      CHECK(order == Sampler(size, true, 5).order(epoch));
      auto sorted = order;
      std::sort(sorted.begin(), sorted.end());
      CHECK(sorted == all);
    }
    CHECK(Sampler(size, false, 5).order(3) == all);
  }
  const Sampler sampler(1000, true, 5);
  CHECK(sampler.order(0) != sampler.order(1));
  CHECK(sampler.order(0) != Sampler(1000, true, 6).order(0));
}

}  // namespace vitrail::data
