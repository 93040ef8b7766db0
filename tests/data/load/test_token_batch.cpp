#include "vitrail/core/error.h"
#include "vitrail/data/load/loader.h"
#include "vitrail/data/load/token_batch.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

namespace vitrail::data {
namespace {

std::vector<int32_t> count_to(int32_t n) {
  std::vector<int32_t> ids(static_cast<size_t>(n));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

}  // namespace

TEST_CASE("a stream of tokens is cut into blocks whose targets lie one token later") {
  Loader loader(TokenBatch(count_to(12), 3), {.batch_size = 2});
  CHECK(loader.batches_per_epoch() == 2);  // 3 blocks: the last two ids make none
  const Batch first = *loader.next(), second = *loader.next();
  CHECK(first["tokens"].shape() == Shape{2, 3});
  CHECK(first["tokens"].dtype() == DType::i64);
  CHECK(first["tokens"].to_vector() == std::vector<double>{0, 1, 2, 3, 4, 5});
  CHECK(first["targets"].to_vector() == std::vector<double>{1, 2, 3, 4, 5, 6});
  CHECK(second["tokens"].to_vector() == std::vector<double>{6, 7, 8});
  CHECK(second["targets"].to_vector() == std::vector<double>{7, 8, 9});
  CHECK_FALSE(loader.next());
}

TEST_CASE("a stream that just fills its blocks has a target for the last token") {
  CHECK(TokenBatch(count_to(7), 3).size() == 2);
  CHECK(TokenBatch(count_to(6), 3).size() == 1);
}

TEST_CASE("shuffled blocks come once an epoch, the same with any number of workers") {
  const auto starts = [](int workers) {
    Loader loader(TokenBatch(count_to(101), 10),
                  {.batch_size = 3, .seed = 5, .shuffle = true, .epochs = 2, .workers = workers});
    std::vector<double> out;
    while (const auto batch = loader.next())
      for (int64_t i = 0; i < batch->size(); ++i) out.push_back((*batch)["tokens"].select(0, i).select(0, 0).item());
    return out;
  };
  const std::vector<double> one = starts(1);
  REQUIRE(one.size() == 20);
  std::vector<double> sorted(one.begin(), one.begin() + 10);
  CHECK_FALSE(std::is_sorted(sorted.begin(), sorted.end()));
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < 10; ++i) CHECK(sorted[i] == double(10 * i));
  CHECK(starts(4) == one);
}

TEST_CASE("token batches without a block are refused") {
  CHECK_THROWS_WITH_AS(TokenBatch(count_to(3), 3), doctest::Contains("3 ids make no block of 3"), DataError);
  CHECK_THROWS_WITH_AS(TokenBatch(count_to(3), 0), doctest::Contains("length is 0"), ConfigError);
}

}  // namespace vitrail::data
