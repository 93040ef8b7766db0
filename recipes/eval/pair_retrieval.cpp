#include "vitrail/recipes/eval/pair_retrieval.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/parallel.h"
#include "vitrail/recipes/eval/evaluate.h"

#include <algorithm>
#include <numeric>
#include <string>

namespace vitrail::recipes {

std::vector<int64_t> best_places(const Tensor& queries, const Tensor& answers,
                                 const std::vector<std::vector<int64_t>>& right) {
  constexpr int64_t kQueriesAtOnce = 1024;  // queries compared at a time
  const int64_t n = queries.size(0), all = answers.size(0);
  check<ShapeError>(int64_t(right.size()) == n, "best_places", "{} queries, {} lists of right answers", n,
                    right.size());
  for (const auto& list : right) {
    check<ShapeError>(!list.empty(), "best_places", "a query has no right answer");
    for (const int64_t i : list) check<ShapeError>(i >= 0 && i < all, "best_places", "answer {} of {}", i, all);
  }
  std::vector<int64_t> places(static_cast<size_t>(n));
  for (int64_t begin = 0; begin < n; begin += kQueriesAtOnce) {
    const int64_t end = std::min(begin + kQueriesAtOnce, n);
    const Tensor similarity =
        core::matmul(queries.slice(0, begin, end), answers, core::Trans::no, core::Trans::yes).to(DType::f32);
    const float* rows = similarity.data<float>();
    parallel_for(end - begin, 1, [&](int64_t from, int64_t to) {
      for (int64_t row = from; row < to; ++row) {
        const float* s = rows + row * all;
        const auto place = [&](int64_t answer) {
          int64_t before = 0;
          for (int64_t i = 0; i < all; ++i) before += s[i] > s[answer] || (s[i] == s[answer] && i < answer);
          return before;
        };
        // The most similar right answer has the best place. On ties the first answer counts.
        const auto& list = right[size_t(begin + row)];
        const int64_t best = *std::max_element(
            list.begin(), list.end(), [s](int64_t a, int64_t b) { return s[a] < s[b] || (s[a] == s[b] && a > b); });
        places[size_t(begin + row)] = place(best);
      }
    });
  }
  return places;
}

Stats recall(std::string_view prefix, const std::vector<int64_t>& places) {
  const std::string name(prefix);
  Stats stats;
  for (const int64_t k : {1, 5, 10}) stats.emplace_back(name + "_r" + std::to_string(k), share_below(places, k));
  std::vector<int64_t> sorted = places;
  std::sort(sorted.begin(), sorted.end());
  const size_t n = sorted.size();
  const double sum = double(std::accumulate(sorted.begin(), sorted.end(), int64_t{0}));
  const int64_t median = n == 0 ? 0 : (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
  stats.emplace_back(name + "_mean_rank", n == 0 ? 0 : sum / double(n) + 1);
  stats.emplace_back(name + "_median_rank", double(median + 1));
  return stats;
}

}  // namespace vitrail::recipes
