#include "vitrail/recipes/eval/attention_distance.h"

#include "vitrail/core/ops.h"
#include "vitrail/core/parallel.h"
#include "vitrail/recipes/eval/finite.h"

#include <cmath>
#include <string>

namespace vitrail::recipes {
namespace {

/// Pixels between patches whose rows and columns differ by (row, column): [rows, columns].
std::vector<double> patch_distances(ag::Grid grid, int64_t patch) {
  std::vector<double> distances(size_t(grid.height * grid.width));
  for (int64_t i = 0; i < grid.height * grid.width; ++i) {
    const int64_t row = i / grid.width, column = i % grid.width;
    distances[size_t(i)] = double(patch) * std::hypot(double(row), double(column));
  }
  return distances;
}

/// The mean of the distances from patch `query` to all patches under the weights of each.
template <class Weight>
double mean_distance(int64_t query, ag::Grid grid, const std::vector<double>& distances, const Weight& weight_of) {
  const int64_t row = query / grid.width, column = query % grid.width;
  double sum = 0, total = 0;
  int64_t key = 0;
  for (int64_t y = 0; y < grid.height; ++y)
    for (int64_t x = 0; x < grid.width; ++x, ++key) {
      const double weight = weight_of(key);
      sum += weight * distances[size_t(std::abs(y - row) * grid.width + std::abs(x - column))];
      total += weight;
    }
  return sum / total;
}

}  // namespace

AttentionDistance::AttentionDistance(nn::VisionTransformer& model)
    : model_(model), sums_(size_t(depth() * heads())), counts_(sums_.size()) {}

void AttentionDistance::add(const Tensor& image) {
  const int64_t patch = model_.config.patch_size, prefix = model_.prefix_tokens();
  const ag::Grid grid{image.size(2) / patch, image.size(3) / patch};
  const int64_t patches = grid.height * grid.width, tokens = prefix + patches;
  const std::vector<double> distances = patch_distances(grid, patch);
  // One sum for each query, added up in order: the result does not depend on the threads.
  std::vector<double> of_query(size_t(heads() * patches));
  model_.for_each_self_attention(image, [&](int64_t block, const Tensor& all) {
    const Tensor weights = all.select(0, 0).to(DType::f32).contiguous();  // [H, T, T]
    expect_finite(weights, "attention",
                  [&](int64_t head) { return "block " + std::to_string(block) + ", head " + std::to_string(head); });
    parallel_for(heads() * patches, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float* const row =
            weights.data<float>() + (i / patches * tokens + prefix + i % patches) * tokens + prefix;
        of_query[size_t(i)] =
            mean_distance(i % patches, grid, distances, [row](int64_t key) { return double(row[key]); });
      }
    });
    for (int64_t i = 0; i < heads() * patches; ++i) {
      if (std::isnan(of_query[size_t(i)])) continue;  // 0 / 0: the prefix tokens have all attention of this patch
      const auto at = size_t(block * heads() + i / patches);
      sums_[at] += of_query[size_t(i)];
      ++counts_[at];
    }
  });
  for (int64_t query = 0; query < patches; ++query)
    uniform_sum_ += mean_distance(query, grid, distances, [](int64_t) { return 1.0; });
  patches_ += patches;
}

double AttentionDistance::of(int64_t block, int64_t head) const {
  const auto at = size_t(block * heads() + head);
  return sums_.at(at) / double(counts_.at(at));
}

double AttentionDistance::of(int64_t block) const {
  double sum = 0;
  for (int64_t head = 0; head < heads(); ++head) sum += of(block, head);
  return sum / double(heads());
}

double AttentionDistance::uniform() const { return uniform_sum_ / double(patches_); }

}  // namespace vitrail::recipes
