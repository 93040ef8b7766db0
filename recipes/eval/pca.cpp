#include "vitrail/recipes/eval/pca.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/rng.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace vitrail::recipes {
namespace {

using Rows = std::vector<std::vector<double>>;

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Gram-Schmidt: makes the rows orthonormal, in order. A row that depends on earlier rows becomes 0.
void orthonormalize(Rows& rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    const double before = std::sqrt(dot(rows[i], rows[i]));
    for (int pass = 0; pass < 2; ++pass)  // the second pass removes rounding errors
      for (size_t j = 0; j < i; ++j) {
        const double along = dot(rows[i], rows[j]);
        for (size_t d = 0; d < rows[i].size(); ++d) rows[i][d] -= along * rows[j][d];
      }
    const double length = std::sqrt(dot(rows[i], rows[i]));
    const double scale = length > 1e-9 * before ? 1 / length : 0;
    for (double& v : rows[i]) v *= scale;
  }
}

Rows to_rows(const Tensor& t) {
  const std::vector<double> values = t.to_vector();
  const auto width = std::ptrdiff_t(t.size(1));
  Rows rows;
  for (auto at = values.begin(); at != values.end(); at += width) rows.emplace_back(at, at + width);
  return rows;
}

Tensor from_rows(const Rows& rows) {
  std::vector<double> values;
  for (const auto& row : rows) values.insert(values.end(), row.begin(), row.end());
  return tensor(values, {int64_t(rows.size()), int64_t(rows[0].size())});
}

}  // namespace

Tensor Pca::project(const Tensor& features) const {
  return core::matmul(core::sub(features, mean), components, core::Trans::no, core::Trans::yes);
}

Pca fit_pca(const Tensor& features, int64_t k) {
  check<ShapeError>(features.rank() == 2 && 1 <= k && k <= features.size(1), "pca", "{} has no {} components",
                    features.shape(), k);
  constexpr int kIterations = 100;
  constexpr int64_t kMore = 4;  // extra directions, so that the last requested one converges
  const int64_t dim = features.size(1);
  const Tensor mean = core::mean(features, {0}, /*keepdim=*/true);
  const Tensor x = core::sub(features, mean);
  const Tensor products = core::matmul(x, x, core::Trans::yes, core::Trans::no);
  const Tensor covariance = core::affine(products.to(DType::f64), 1 / double(features.size(0)));  // [D, D]

  // Orthogonal iteration from directions that are the same in every run.
  Rng rng(0, "pca");
  Rows directions(size_t(std::min(k + kMore, dim)), std::vector<double>(size_t(dim)));
  for (auto& row : directions)
    for (double& v : row) v = rng.normal();
  orthonormalize(directions);
  for (int i = 0; i < kIterations; ++i) {
    directions = to_rows(core::matmul(from_rows(directions), covariance));
    orthonormalize(directions);
  }
  directions.resize(size_t(k));
  for (auto& row : directions) {
    const auto largest =
        std::max_element(row.begin(), row.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
    if (*largest < 0)
      for (double& v : row) v = -v;
  }
  const Tensor components = from_rows(directions);
  const Tensor variances = core::sum(core::mul(core::matmul(components, covariance), components), {1});
  return {mean, components.to(features.dtype()), variances};
}

}  // namespace vitrail::recipes
