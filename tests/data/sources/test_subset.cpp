#include "vitrail/core/error.h"
#include "vitrail/data/sources/array_dataset.h"
#include "vitrail/data/sources/subset.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

namespace vitrail::data {
namespace {

/// Images of one pixel, which is their number; classes of 20, 7 and 1 of them, mixed.
std::unique_ptr<Dataset> numbered() {
  PixelArray array;
  array.images = Tensor::empty({28, 1, 1, 1}, DType::u8);
  for (int64_t i = 0; i < 28; ++i) {
    array.images.span<uint8_t>()[size_t(i)] = uint8_t(i);
    array.labels.push_back(i == 5 ? 2 : i % 4 == 3 ? 1 : 0);
  }
  array.classes = {"many", "some", "one"};
  return make_array_dataset(std::move(array));
}

std::vector<int> numbers(const Dataset& dataset) {
  std::vector<int> result;
  for (int64_t i = 0; i < dataset.size(); ++i) result.push_back(dataset.get(i).image.data()[0]);
  return result;
}

}  // namespace

TEST_CASE("a stratified subset keeps the mix of classes and the order") {
  const auto whole = numbered(), half = stratified_subset(numbered(), 0.5, 0);
  CHECK(half->classes() == whole->classes());
  std::map<int64_t, int> counts;
  for (int64_t i = 0; i < half->size(); ++i) {
    const Sample sample = half->get(i);
    const int64_t number = sample.image.data()[0];
    CHECK(half->label(i) == sample.label);
    CHECK(sample.label == whole->label(number));
    CHECK(half->name(i) == whole->name(number));
    ++counts[sample.label];
  }
  CHECK(counts == std::map<int64_t, int>{{0, 10}, {1, 4}, {2, 1}});
  const std::vector<int> chosen = numbers(*half);
  CHECK(std::is_sorted(chosen.begin(), chosen.end()));
}

TEST_CASE("a stratified subset depends on its seed alone") {
  const auto of = [](double share, uint64_t seed) { return numbers(*stratified_subset(numbered(), share, seed)); };
  CHECK(of(0.5, 3) == of(0.5, 3));
  CHECK(of(0.5, 3) != of(0.5, 4));
  CHECK(of(1, 0) == numbers(*numbered()));
  CHECK(of(0.001, 0).size() == 3);  // one of each class
  const std::vector<int> few = of(0.25, 3), more = of(0.5, 3);
  CHECK(std::includes(more.begin(), more.end(), few.begin(), few.end()));
  CHECK_THROWS_WITH_AS(of(0, 0), doctest::Contains("the share is 0"), ConfigError);
  CHECK_THROWS_AS(of(1.5, 0), ConfigError);
}

TEST_CASE("images spread over the whole") {
  CHECK(numbers(*spread(numbered(), 4)) == std::vector<int>{0, 7, 14, 21});
  CHECK(numbers(*spread(numbered(), 27)).back() == 26);
  CHECK(numbers(*spread(numbered(), 28)) == numbers(*numbered()));
  CHECK(numbers(*spread(numbered(), 100)) == numbers(*numbered()));
}

}  // namespace vitrail::data
