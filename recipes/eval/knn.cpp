#include "vitrail/recipes/eval/knn.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/recipes/eval/evaluate.h"

#include <algorithm>
#include <cmath>

namespace vitrail::recipes {
namespace {

/// Test features compared at a time: large enough for the matrix product to run at full speed, small enough for the
/// similarities to 50,000 others to take some 50 MB.
constexpr int64_t kTestsAtOnce = 256;
/// The largest exponent of a vote. It keeps the sum of a row finite in f32.
constexpr double kMostExponent = 80;

}  // namespace

Tensor knn_votes(const Tensor& train, const Tensor& labels, const Tensor& test, int64_t classes,
                 const KnnOptions& options) {
  check<ShapeError>(train.rank() == 2 && test.rank() == 2 && train.size(1) == test.size(1) && train.size(0) > 0 &&
                        labels.shape() == Shape{train.size(0)},
                    "knn", "train is {}, labels {}, test {}; they must be [N, D], [N], [M, D] with N > 0",
                    train.shape(), labels.shape(), test.shape());
  const auto label = labels.span<int64_t>();
  for (const int64_t l : label)
    check<ShapeError>(0 <= l && l < classes, "knn", "label {} is outside [0, {})", l, classes);

  const int64_t k = std::min(options.k, train.size(0)), tests = test.size(0);
  std::vector<double> votes(size_t(tests * classes));
  for (int64_t begin = 0; begin < tests; begin += kTestsAtOnce) {
    const Tensor rows = test.slice(0, begin, std::min(begin + kTestsAtOnce, tests));
    const auto [values, indices] = core::topk(core::matmul(rows, train, core::Trans::no, core::Trans::yes), k);
    const std::vector<double> similarity = values.to_vector();
    const auto neighbour = indices.span<int64_t>();
    for (size_t i = 0; i < neighbour.size(); ++i) {
      const size_t in_block = i / size_t(k), row = size_t(begin) + in_block;
      const double too_large = std::max(0.0, similarity[in_block * size_t(k)] / options.temperature - kMostExponent);
      votes[row * size_t(classes) + size_t(label[size_t(neighbour[i])])] +=
          std::exp(similarity[i] / options.temperature - too_large);
    }
  }
  return tensor(votes, {tests, classes}).to(test.dtype());
}

double knn_top1(const Tensor& train, const Tensor& train_labels, const Tensor& test, const Tensor& test_labels,
                int64_t classes, const KnnOptions& options) {
  const auto places = label_places(knn_votes(train, train_labels, test, classes, options), test_labels, 1);
  return share_below(places, 1);
}

}  // namespace vitrail::recipes
