#include "tests/data/samples.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/data/sources/array_dataset.h"
#include "vitrail/data/sources/image_folder.h"
#include "vitrail/data/sources/subset.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
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

TEST_CASE("a share of each class is held out by a hash of the names, so that other images stay where they are") {
  const test::TemporaryFolder folder;
  const std::string root = folder.path().string();
  const auto add = [&](const std::string& name, int first, int count) {
    for (int i = first; i < first + count; ++i)
      test::write_file(folder.path() / name / (std::to_string(i) + ".bmp"), "");
  };
  const auto held_out = [&](const std::string& place, double share, uint64_t seed, bool labelled = true) {
    const auto set = open_image_folder(place, {.labelled = labelled});
    const Halves halves = hold_out(*set, place, share, seed);
    CHECK(halves.kept.size() + halves.held_out.size() == size_t(set->size()));
    std::set<std::string> names;
    for (const int64_t i : halves.held_out) names.insert(set->name(i).substr(place.size()));
    for (const int64_t i : halves.kept) CHECK_FALSE(names.contains(set->name(i).substr(place.size())));
    return names;
  };
  const auto of_class = [](const std::set<std::string>& names, const std::string& name) {
    return std::count_if(names.begin(), names.end(), [&](const auto& n) { return n.starts_with("/" + name); });
  };
  add("many", 0, 40);
  add("some", 0, 8);
  add("two", 0, 2);
  add("one", 0, 1);
  const auto first = held_out(root, 0.25, 0);
  CHECK(of_class(first, "many") == 10);
  CHECK(of_class(first, "some") == 2);
  CHECK(of_class(first, "two") == 1);  // rounded to 1 of 2
  CHECK(of_class(first, "one") == 0);
  CHECK(held_out(root, 0.01, 0).size() == 3);  // at least one of each class that has two
  CHECK(held_out(root, 0.99, 0).size() == 39 + 7 + 1);
  CHECK(held_out(root, 0.25, 0) == first);
  CHECK(held_out(root, 0.25, 1) != first);
  CHECK(held_out(root, 0.25, 0, /*labelled=*/false).size() == 13);  // 12.75 of 51
  const test::TemporaryFolder elsewhere;
  std::filesystem::copy(root, elsewhere.path() / "moved", std::filesystem::copy_options::recursive);
  CHECK(held_out((elsewhere.path() / "moved").string(), 0.25, 0) == first);

  add("many", 40, 4);
  const auto second = held_out(root, 0.25, 0);
  CHECK(of_class(second, "many") == 11);
  CHECK(of_class(second, "some") == 2);
  std::vector<std::string> stayed;
  std::set_intersection(first.begin(), first.end(), second.begin(), second.end(), std::back_inserter(stayed));
  CHECK(stayed.size() >= first.size() - 1);
  const auto set = open_image_folder(root);
  CHECK_THROWS_WITH_AS(hold_out(*set, root, 1, 0), doctest::Contains("the share is 1"), ConfigError);
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
