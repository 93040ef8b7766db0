#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"
#include "vitrail/data/load/loader.h"
#include "vitrail/data/load/tensor_batch.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace vitrail::data {

TEST_CASE("tensors in memory come as shuffled batches, rows kept together") {
  const Tensor x = Rng(1, "x").normal({50, 2, 3}, 0, 1), y = arange(50);
  // The example in the header.
  Loader loader(TensorBatch({{"x", x}, {"y", y}}), {.batch_size = 8, .shuffle = true, .epochs = 2});
  std::vector<int64_t> seen;
  while (const auto batch = loader.next()) {
    const Tensor &rows = (*batch)["x"], &numbers = (*batch)["y"];
    CHECK(rows.shape() == Shape{batch->size(), 2, 3});
    CHECK(numbers.dtype() == DType::i64);
    for (int64_t i = 0; i < batch->size(); ++i) {
      const int64_t number = numbers.data<int64_t>()[i];
      CHECK(rows.select(0, i).to_vector() == x.select(0, number).to_vector());
      CHECK(batch->indices[size_t(i)] == number);
      seen.push_back(number);
    }
  }
  REQUIRE(seen.size() == 100);
  CHECK_FALSE(std::is_sorted(seen.begin(), seen.begin() + 50));
  CHECK_FALSE(std::equal(seen.begin(), seen.begin() + 50, seen.begin() + 50));  // each epoch has its own order
  std::sort(seen.begin(), seen.end());
  for (size_t i = 0; i < seen.size(); ++i) CHECK(seen[i] == int64_t(i / 2));
}

TEST_CASE("strided tensors give their rows") {
  const Tensor x = arange(12).reshape({3, 4}).transpose(0, 1);  // [4, 3]
  const Batch batch = *Loader(TensorBatch({{"x", x}}), {.batch_size = 4}).next();
  CHECK(batch["x"].to_vector() == x.to_vector());
}

TEST_CASE("a batch names its tensors when one is asked for that it does not have") {
  const Batch batch = *Loader(TensorBatch({{"x", arange(3)}, {"y", arange(3)}}), {}).next();
  CHECK(batch.contains("x"));
  CHECK_FALSE(batch.contains("z"));
  CHECK_THROWS_WITH_AS(batch["z"], "[batch] there is no tensor 'z'; this batch has: x, y", DataError);
}

TEST_CASE("tensors without common rows are refused") {
  CHECK_THROWS_WITH_AS(TensorBatch({{"x", arange(3)}, {"y", arange(4)}}),
                       doctest::Contains("'y' has 4 rows, 'x' has 3"), ShapeError);
  CHECK_THROWS_WITH_AS(TensorBatch({{"x", scalar(3)}}), doctest::Contains("'x' is a single number"), ShapeError);
  CHECK_THROWS_WITH_AS(TensorBatch({}), doctest::Contains("there are no tensors"), DataError);
}

}  // namespace vitrail::data
