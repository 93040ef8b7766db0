#include "vitrail/recipes/eval/tsne.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/parallel.h"
#include "vitrail/recipes/eval/pca.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace vitrail::recipes {
namespace {

constexpr int64_t kChunk = 16;  // rows a thread takes at a time

/// Squared distances between all rows of x [N, D], row by row.
std::vector<double> squared_distances(const Tensor& x) {
  const int64_t n = x.size(0);
  const std::vector<double> products = core::matmul(x, x, core::Trans::no, core::Trans::yes).to_vector();
  std::vector<double> result(products.size());
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      result[size_t(i * n + j)] =
          std::max(0.0, products[size_t(i * n + i)] + products[size_t(j * n + j)] - 2 * products[size_t(i * n + j)]);
  return result;
}

/// p_j = exp(-beta d_j) / sum for j != self, and p_self = 0. Searches the beta for which the entropy of p is
/// log(perplexity).
void fill_neighbours(const double* distance, int64_t self, int64_t n, double perplexity, double* p) {
  constexpr int kHalvings = 64;
  const double wanted = std::log(perplexity);
  double low = 0, high = std::numeric_limits<double>::infinity(), beta = 1;
  double nearest = std::numeric_limits<double>::infinity();  // subtracted from all: the largest exponential is 1
  for (int64_t j = 0; j < n; ++j)
    if (j != self) nearest = std::min(nearest, distance[j]);
  for (int step = 0; step < kHalvings; ++step) {
    double sum = 0, weighted = 0;
    for (int64_t j = 0; j < n; ++j) {
      p[j] = j == self ? 0 : std::exp(-beta * (distance[j] - nearest));
      sum += p[j];
      weighted += p[j] * (distance[j] - nearest);
    }
    const double entropy = std::log(sum) + beta * weighted / sum;
    for (int64_t j = 0; j < n; ++j) p[j] /= sum;
    if (std::abs(entropy - wanted) < 1e-5) return;
    (entropy > wanted ? low : high) = beta;
    beta = std::isinf(high) ? 2 * beta : (low + high) / 2;
  }
}

/// The joint probabilities of all pairs. They are symmetric and sum to 1.
std::vector<double> joint_probabilities(const Tensor& features, double perplexity) {
  const int64_t n = features.size(0);
  const std::vector<double> distances = squared_distances(features);
  std::vector<double> p(distances.size());
  parallel_for(n, kChunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      fill_neighbours(&distances[size_t(i * n)], i, n, perplexity, &p[size_t(i * n)]);
  });
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = i; j < n; ++j) {
      double &a = p[size_t(i * n + j)], &b = p[size_t(j * n + i)];
      a = b = (a + b) / double(2 * n);
    }
  return p;
}

/// The points in the plane, with their speeds and gains.
struct Plane {
  explicit Plane(const Tensor& start) : n(start.size(0)), y(start.to_vector()), speed(y.size()), gain(y.size(), 1) {}

  /// One gradient step on the KL divergence between exaggeration * p and the probabilities of the points.
  void step(const std::vector<double>& p, double exaggeration, double momentum, double rate) {
    std::vector<double> sums(static_cast<size_t>(n)), pull(y.size()), push(y.size());
    parallel_for(n, kChunk, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        double sum = 0, pull_x = 0, pull_y = 0, push_x = 0, push_y = 0;
        for (int64_t j = 0; j < n; ++j) {
          const double dx = y[size_t(2 * i)] - y[size_t(2 * j)], dy = y[size_t(2 * i + 1)] - y[size_t(2 * j + 1)];
          const double near = 1 / (1 + dx * dx + dy * dy), attract = p[size_t(i * n + j)] * near;
          sum += near;
          pull_x += attract * dx;
          pull_y += attract * dy;
          push_x += near * near * dx;
          push_y += near * near * dy;
        }
        sums[size_t(i)] = sum - 1;  // without the point itself
        pull[size_t(2 * i)] = pull_x;
        pull[size_t(2 * i + 1)] = pull_y;
        push[size_t(2 * i)] = push_x;
        push[size_t(2 * i + 1)] = push_y;
      }
    });
    double total = 0;
    for (const double sum : sums) total += sum;
    for (size_t k = 0; k < y.size(); ++k) {
      const double gradient = 4 * (exaggeration * pull[k] - push[k] / total);
      gain[k] = std::max(0.01, gradient * speed[k] < 0 ? gain[k] + 0.2 : gain[k] * 0.8);
      speed[k] = momentum * speed[k] - rate * gain[k] * gradient;
    }
    for (size_t k = 0; k < y.size(); ++k) y[k] += speed[k];
  }

  int64_t n;
  std::vector<double> y, speed, gain;  // [N, 2]
};

}  // namespace

Tensor tsne(const Tensor& features, const TsneOptions& options, const Tick& tick) {
  check<ShapeError>(features.rank() == 2 && features.size(0) >= 4 && features.size(1) >= 2, "tsne",
                    "needs at least 4 features of 2 dimensions, was given {}", features.shape());
  constexpr double kExaggeration = 12, kStartDeviation = 1e-4;
  const int64_t n = features.size(0), early = std::min<int64_t>(250, options.iterations / 3);
  const std::vector<double> p = joint_probabilities(features, std::min(options.perplexity, double(n - 1) / 3));
  const Pca pca = fit_pca(features, 2);
  const double deviation = std::sqrt(pca.variances.to_vector()[0]);
  Plane plane(core::affine(pca.project(features), deviation > 0 ? kStartDeviation / deviation : 1));
  // Belkina et al.'s rate is for a gradient without its factor of 4.
  const double rate = std::max(double(n) / kExaggeration / 4, 50.0);
  for (int64_t i = 0; i < options.iterations; ++i) {
    const bool exaggerated = i < early;
    plane.step(p, exaggerated ? kExaggeration : 1, exaggerated ? 0.5 : 0.8, rate);
    tick(i + 1, options.iterations);
  }
  return tensor(plane.y, {n, 2}).to(DType::f32);
}

}  // namespace vitrail::recipes
