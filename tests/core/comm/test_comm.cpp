// Ranks that are threads add, gather and broadcast; a sum has the bits of the tree whoever computes its parts.
#include "vitrail/core/comm/comm.h"
#include "vitrail/core/comm/tree_sum.h"
#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"

#include <doctest/doctest.h>

#include <cmath>
#include <mutex>
#include <numeric>
#include <set>
#include <string>

namespace vitrail {
namespace {

/// Numbers whose sum depends on the order of additions.
std::vector<float> numbers(int64_t leaf, int64_t count) {
  Rng rng(7, "leaf", uint64_t(leaf));
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(float(rng.normal() * std::exp2(rng.uniform(-8, 8))));
  return values;
}

void plus(std::vector<float>& left, const std::vector<float>& right) {
  for (size_t i = 0; i < left.size(); ++i) left[i] += right[i];
}

std::vector<float> sum_of_leaves(int64_t begin, int64_t end, int64_t count) {
  auto sum = tree_sum<std::vector<float>>(plus);
  for (int64_t leaf = begin; leaf < end; ++leaf) sum.add(numbers(leaf, count));
  return sum.take();
}

}  // namespace

TEST_CASE("comm: a tree sum pairs leaves as a binary counter does") {
  const auto shape = [](int leaves) {
    auto sum =
        tree_sum<std::string>([](std::string& left, const std::string& right) { left = "(" + left + right + ")"; });
    for (int i = 0; i < leaves; ++i) sum.add(std::string(1, char('a' + i)));
    return sum.take();
  };
  CHECK(shape(1) == "a");
  CHECK(shape(2) == "(ab)");
  CHECK(shape(3) == "((ab)c)");
  CHECK(shape(4) == "((ab)(cd))");
  CHECK(shape(6) == "(((ab)(cd))(ef))");
  CHECK(shape(7) == "(((ab)(cd))((ef)g))");
  CHECK(shape(8) == "(((ab)(cd))((ef)(gh)))");
}

TEST_CASE("comm: any number of ranks gives the bits of one process") {
  struct Case {
    int64_t leaves;
    std::vector<int> ranks;
  };
  for (const Case& c : {Case{8, {1, 2, 4, 8}}, Case{12, {1, 3, 6, 12}}, Case{7, {7}}, Case{20, {5, 10}}})
    for (const int64_t count : {1, 2, 5, 1000, 100'003}) {
      const std::vector<float> expected = sum_of_leaves(0, c.leaves, count);
      for (const int ranks : c.ranks) {
        CAPTURE(c.leaves);
        CAPTURE(count);
        CAPTURE(ranks);
        std::mutex guard;
        int equal = 0;
        run_ranks(ranks, [&] {
          const int64_t each = c.leaves / ranks, begin = each * comm().rank();
          std::vector<float> mine = sum_of_leaves(begin, begin + each, count);
          comm().add(std::span(mine)).wait();
          const std::scoped_lock lock(guard);
          equal += mine == expected;
        });
        CHECK(equal == ranks);
      }
    }
}

TEST_CASE("comm: doubles are added, too, and an empty span costs nothing") {
  run_ranks(4, [] {
    std::vector<double> mine = {1.0 + comm().rank(), 0.5};
    comm().add(std::span(mine)).wait();
    std::vector<float> nothing;
    comm().add(std::span(nothing)).wait();
    if (mine != std::vector<double>{10, 2}) throw Error("wrong sum");
  });
}

TEST_CASE("comm: ranks gather words, and hear the rank that broadcasts") {
  for (const int ranks : {1, 2, 3, 5, 8}) {
    CAPTURE(ranks);
    std::mutex guard;
    int right = 0;
    const auto all = [&] {
      const int rank = comm().rank();
      const std::vector<int64_t> words = gather_values(int64_t(10 + rank));
      std::vector<int64_t> expected(size_t(ranks), 0);
      std::iota(expected.begin(), expected.end(), 10);

      std::vector<std::byte> told(rank == ranks - 1 ? 1000 : 3, std::byte(rank));
      comm().broadcast(told, ranks - 1);
      const std::scoped_lock lock(guard);
      right += words == expected && told == std::vector<std::byte>(1000, std::byte(ranks - 1));
    };
    if (ranks == 1)
      all();
    else
      run_ranks(ranks, all);
    CHECK(right == ranks);
  }
}

TEST_CASE("comm: a rank that fails ends the others, and its error is the one that is told") {
  CHECK_THROWS_WITH_AS(run_ranks(4,
                                 [] {
                                   if (comm().rank() == 2) throw DataError("rank 2 has no data");
                                   gather_values(1);
                                 }),
                       "rank 2 has no data", DataError);
  CHECK_THROWS_WITH_AS(run_ranks(2,
                                 [] {
                                   std::vector<float> mine(size_t(4 + 4 * comm().rank()));
                                   comm().add(std::span(mine)).wait();
                                 }),
                       doctest::Contains("they are at different places"), IoError);
}

TEST_CASE("comm: a process is alone by default, and each rank of threads has its own") {
  CHECK(comm().size() == 1);
  CHECK(comm().rank() == 0);
  std::mutex guard;
  std::set<int> seen;
  run_ranks(3, [&] {
    const std::scoped_lock lock(guard);
    seen.insert(comm().rank());
  });
  CHECK(seen == std::set<int>{0, 1, 2});
  CHECK(comm().size() == 1);
}

}  // namespace vitrail
