#include "vitrail/recipes/eval/patch_norms.h"

#include "vitrail/core/ops.h"
#include "vitrail/recipes/eval/finite.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace vitrail::recipes {
namespace {

/// The norm of each of the tokens [1, N, C].
std::vector<double> norms_of(const Tensor& tokens) {
  std::vector<double> norms;
  for (int64_t i = 0; i < tokens.size(1); ++i)
    norms.push_back(core::norm(tokens.select(0, 0).select(0, i).to(DType::f32)));
  return norms;
}

}  // namespace

TokenNorms token_norms(nn::TokenBackbone& model, const Tensor& image) {
  const ag::NoGrad no_grad;
  const nn::Tokens tokens = model.intermediate_tokens(image, 1, /*normed=*/false).front();
  expect_finite(tokens.patches.value().select(0, 0), "artifacts",
                [](int64_t patch) { return "patch " + std::to_string(patch); });
  return {{tokens.grid.height, tokens.grid.width, norms_of(tokens.patches.value())}, norms_of(tokens.prefix.value())};
}

NormStatistics norm_statistics(const std::vector<TokenNorms>& images, double ratio, std::optional<double> cutoff) {
  std::vector<double> all;
  for (const TokenNorms& image : images)
    all.insert(all.end(), image.patches.values.begin(), image.patches.values.end());
  NormStatistics result{.patches = int64_t(all.size())};
  if (all.empty()) return result;
  const auto middle = all.begin() + std::ptrdiff_t(all.size() / 2);
  std::nth_element(all.begin(), middle, all.end());
  result.median = *middle;
  result.largest = *std::max_element(all.begin(), all.end());
  result.cutoff = cutoff.value_or(ratio * result.median);
  result.outliers = std::count_if(all.begin(), all.end(), [&](double norm) { return norm > result.cutoff; });
  return result;
}

}  // namespace vitrail::recipes
