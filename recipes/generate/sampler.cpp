#include "vitrail/recipes/generate/sampler.h"

#include "vitrail/core/error.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

namespace vitrail::recipes {
namespace {

constexpr double kLeftOut = -std::numeric_limits<double>::infinity();

void check_sampling(const Sampling& s) {
  check<ConfigError>(s.temperature >= 0 && std::isfinite(s.temperature), "sampling",
                     "temperature is {}; it must be 0 (the likeliest token) or above", s.temperature);
  check<ConfigError>(s.top_k >= 0, "sampling", "top_k is {}; it must be 0 (all tokens) or above", s.top_k);
  check<ConfigError>(s.top_p > 0 && s.top_p <= 1, "sampling",
                     "top_p is {}; it must be above 0 and at most 1 (all tokens)", s.top_p);
}

/// Leaves out what is below the k-th largest.
void keep_top_k(std::vector<double>& logits, size_t k) {
  if (k == 0 || k >= logits.size()) return;
  std::vector<double> sorted = logits;
  std::nth_element(sorted.begin(), sorted.begin() + int64_t(k) - 1, sorted.end(), std::greater<>());
  const double least = sorted[k - 1];
  for (double& logit : logits)
    if (logit < least) logit = kLeftOut;
}

void softmax(std::vector<double>& values) {
  const double most = *std::max_element(values.begin(), values.end());
  double total = 0;
  for (double& v : values) total += v = std::exp(v - most);
  for (double& v : values) v /= total;
}

/// Leaves out the least likely tokens whose probabilities add up to 1 - p or less, but never the likeliest one.
void keep_top_p(std::vector<double>& probabilities, double p) {
  if (p >= 1) return;
  const double most = *std::max_element(probabilities.begin(), probabilities.end());
  // Tokens below this limit go whatever their order: all of them together do not reach 1 - p. Only the others are
  // sorted, few of a large vocabulary.
  const double limit = std::min((1 - p) / double(probabilities.size()), most);
  std::vector<size_t> order;
  double sum = 0;
  for (size_t i = 0; i < probabilities.size(); ++i) {
    if (probabilities[i] >= limit)
      order.push_back(i);
    else
      sum += std::exchange(probabilities[i], 0.0);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return probabilities[a] < probabilities[b]; });
  double left_out = sum;
  for (size_t i = 0; i + 1 < order.size(); ++i) {
    sum += probabilities[order[i]];
    if (sum > 1 - p) break;
    left_out = sum;
    probabilities[order[i]] = 0;
  }
  for (double& probability : probabilities) probability /= 1 - left_out;
}

}  // namespace

std::vector<double> token_probabilities(const Tensor& logits, const Sampling& sampling) {
  check_sampling(sampling);
  std::vector<double> values = logits.to_vector();
  check<ShapeError>(logits.rank() == 1 && !values.empty(), "sampling", "logits are {}; needs [V]", logits.shape());
  for (const double v : values) check<NumericError>(std::isfinite(v), "sampling", "a logit of the model is {}", v);
  if (sampling.temperature == 0) {
    const auto best = std::max_element(values.begin(), values.end());
    std::vector<double> result(values.size());
    result[size_t(best - values.begin())] = 1;
    return result;
  }
  for (double& v : values) v /= sampling.temperature;
  keep_top_k(values, size_t(sampling.top_k));
  softmax(values);
  keep_top_p(values, sampling.top_p);
  return values;
}

int64_t Sampler::next(const Tensor& logits) {
  const std::vector<double> probabilities = token_probabilities(logits, sampling_);
  const double drawn = rng_.uniform();
  double sum = 0;
  size_t last = 0;  // the last token that can be drawn: rounding may leave the sum below 1
  for (size_t i = 0; i < probabilities.size(); ++i) {
    if (probabilities[i] == 0) continue;
    last = i;
    sum += probabilities[i];
    if (drawn < sum) break;
  }
  return int64_t(last);
}

}  // namespace vitrail::recipes
