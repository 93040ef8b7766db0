#include "vitrail/recipes/eval/image_retrieval.h"

#include "vitrail/core/ops.h"
#include "vitrail/core/parallel.h"

#include <algorithm>
#include <numeric>
#include <optional>

namespace vitrail::recipes {
namespace {

constexpr int64_t kComparedAtOnce = 256;  // queries

/// The mean of the precision at each right answer. Returns nothing without a right answer. order: the answers, most
/// similar first.
std::optional<double> average_precision(const std::vector<int64_t>& order, int64_t query,
                                        std::span<const int64_t> labels) {
  double sum = 0;
  int64_t right = 0, seen = 0;
  for (const int64_t i : order) {
    if (i == query) continue;
    ++seen;
    if (labels[size_t(i)] == labels[size_t(query)]) sum += double(++right) / double(seen);
  }
  return right == 0 ? std::nullopt : std::optional(sum / double(right));
}

}  // namespace

double retrieval_map(const FeatureSet& set) {
  const int64_t n = set.features.size(0);
  const auto labels = set.labels.span<int64_t>();
  std::vector<std::optional<double>> precisions(static_cast<size_t>(n));
  for (int64_t begin = 0; begin < n; begin += kComparedAtOnce) {
    const int64_t end = std::min(begin + kComparedAtOnce, n);
    const Tensor similarity =
        core::matmul(set.features.slice(0, begin, end), set.features, core::Trans::no, core::Trans::yes);
    const float* rows = similarity.data<float>();
    parallel_for(end - begin, 1, [&](int64_t from, int64_t to) {
      std::vector<int64_t> order(static_cast<size_t>(n));
      for (int64_t row = from; row < to; ++row) {
        const float* values = rows + row * n;
        std::iota(order.begin(), order.end(), int64_t{0});
        std::sort(order.begin(), order.end(), [values](int64_t a, int64_t b) {
          return values[a] > values[b] || (values[a] == values[b] && a < b);
        });
        precisions[size_t(begin + row)] = average_precision(order, begin + row, labels);
      }
    });
  }
  double sum = 0, count = 0;
  for (const auto& precision : precisions)
    if (precision) {
      sum += *precision;
      ++count;
    }
  return count == 0 ? 0 : sum / count;
}

Tensor nearest(const Tensor& queries, const Tensor& known, int64_t k) {
  return core::topk(core::matmul(queries, known, core::Trans::no, core::Trans::yes), k).indices;
}

}  // namespace vitrail::recipes
