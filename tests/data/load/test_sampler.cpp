#include "vitrail/core/error.h"
#include "vitrail/data/load/sampler.h"

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

TEST_CASE("repeated images come in a row, in an epoch of a multiple of 256") {
  CHECK(Sampler(1000, true, 5).length() == 1000);
  CHECK(Sampler(1000, true, 5, 3).length() == 768);
  CHECK(Sampler(256, true, 5, 3).length() == 256);
  CHECK(Sampler(200, true, 5, 3).length() == 200);
  const Sampler repeated(1000, true, 5, 3);
  const auto once = Sampler(1000, true, 5).order(2), order = repeated.order(2);
  REQUIRE(order.size() == 768);
  for (size_t i = 0; i < order.size(); ++i) {
    CHECK(order[i] == once[i / 3]);
    CHECK(repeated.repeat(int64_t(i)) == int64_t(i % 3));
  }
  CHECK_THROWS_AS(Sampler(10, true, 5, 0), ConfigError);
}

}  // namespace vitrail::data
