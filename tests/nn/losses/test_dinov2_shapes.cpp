// DINOv2's losses beside plain loops, over shapes that are a multiple of nothing, in f32 and f64.
#include "tests/support/close.h"
#include "vitrail/autograd/ops.h"
#include "vitrail/core/rng.h"
#include "vitrail/nn/losses/dino_loss.h"
#include "vitrail/nn/losses/ibot_loss.h"
#include "vitrail/nn/losses/koleo.h"
#include "vitrail/nn/losses/sinkhorn.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

namespace vitrail::nn {
namespace {

using Table = std::vector<std::vector<double>>;

Table rows_of(const Tensor& x) {
  const std::vector<double> values = x.to_vector();
  Table table(size_t(x.size(0)));
  for (size_t i = 0; i < table.size(); ++i) {
    const auto begin = values.begin() + std::ptrdiff_t(i) * x.size(1);
    table[i].assign(begin, begin + x.size(1));
  }
  return table;
}

Tensor tensor_of(const Table& table) {
  std::vector<double> values;
  for (const auto& row : table) values.insert(values.end(), row.begin(), row.end());
  return tensor(values, {std::ssize(table), std::ssize(table[0])});
}

/// The published loop: Q = exp(z / temp)' over its sum; then rows and columns in turn, with their targets 1/K and 1/N.
Table plain_sinkhorn(const Table& scores, double temp, int iterations) {
  const size_t n = scores.size(), k = scores[0].size();
  double largest = scores[0][0], total = 0;
  for (const auto& row : scores) largest = std::max(largest, *std::max_element(row.begin(), row.end()));
  Table q(k, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < k; ++j) total += q[j][i] = std::exp((scores[i][j] - largest) / temp);
  for (auto& row : q)
    for (double& v : row) v /= total;
  for (int it = 0; it < iterations; ++it) {
    for (auto& row : q) {
      double sum = 0;
      for (const double v : row) sum += v;
      for (double& v : row) v /= sum * double(k);
    }
    for (size_t i = 0; i < n; ++i) {
      double sum = 0;
      for (size_t j = 0; j < k; ++j) sum += q[j][i];
      for (size_t j = 0; j < k; ++j) q[j][i] /= sum * double(n);
    }
  }
  Table result(n, std::vector<double>(k));
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < k; ++j) result[i][j] = q[j][i] * double(n);
  return result;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

double plain_koleo(Table x, size_t group) {
  for (auto& row : x) {
    const double length = std::max(std::sqrt(dot(row, row)), 1e-8);
    for (double& v : row) v /= length;
  }
  double loss = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t begin = i / group * group;
    size_t nearest = i == begin ? begin + 1 : begin;
    for (size_t j = begin; j < begin + group; ++j)
      if (j != i && dot(x[i], x[j]) > dot(x[i], x[nearest])) nearest = j;
    double squares = 0;
    for (size_t d = 0; d < x[i].size(); ++d) squares += std::pow(x[i][d] - x[nearest][d] + 1e-8, 2);
    loss -= std::log(std::sqrt(squares) + 1e-8) / double(x.size());
  }
  return loss;
}

/// - sum of target log softmax(scores / temp).
double plain_entropy(const std::vector<double>& scores, const std::vector<double>& target, double temp) {
  const double largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0, entropy = 0;
  for (const double z : scores) sum += std::exp((z - largest) / temp);
  for (size_t k = 0; k < scores.size(); ++k) entropy -= target[k] * ((scores[k] - largest) / temp - std::log(sum));
  return entropy;
}

struct Groups {
  Shape shape;
  int64_t group;
};

struct Scores {
  int64_t images, prototypes;
};

double tolerance(DType dtype) { return dtype == DType::f64 ? 1e-12 : 2e-6; }

}  // namespace

TEST_CASE("Sinkhorn-Knopp is the published loop for any number of rows and prototypes") {
  for (const DType dtype : {DType::f64, DType::f32})
    for (const Shape& shape : {Shape{1, 5}, Shape{2, 1}, Shape{3, 7}, Shape{7, 3}, Shape{13, 129}, Shape{65, 17}})
      for (const auto& [temp, iterations] : {std::pair{0.07, 3}, {0.3, 1}, {0.5, 4}}) {
        CAPTURE(shape);
        CAPTURE(dtype);
        const Tensor scores = Rng(1, "scores").normal(shape, 0, 1, dtype);
        const Tensor targets = sinkhorn_targets(scores, temp, iterations);
        CHECK(targets.dtype() == dtype);
        const Tensor expected = tensor_of(plain_sinkhorn(rows_of(scores), temp, iterations));
        CHECK(test::max_difference(targets.to(DType::f64), expected) < (dtype == DType::f64 ? 1e-13 : 1e-5));
      }
}

TEST_CASE("KoLeo is the published loop, in the batch and in groups") {
  for (const DType dtype : {DType::f64, DType::f32})
    for (const Groups& of : {Groups{{2, 1}, 0}, {{2, 9}, 2}, {{7, 5}, 0}, {{9, 17}, 3}, {{10, 33}, 5}}) {
      const Shape& shape = of.shape;
      CAPTURE(shape);
      CAPTURE(dtype);
      const Tensor x = shape[1] == 1 ? tensor<double>({1, -2}, shape).to(dtype)  // of length 1 there are only two
                                     : Rng(2, "x").normal(shape, 0, 1, dtype);
      const double expected = plain_koleo(rows_of(x), size_t(of.group == 0 ? shape[0] : of.group));
      CHECK(std::abs(koleo_loss(x, of.group).value().item() - expected) < tolerance(dtype) * (1 + std::abs(expected)));
    }
}

TEST_CASE("KoLeo finds the neighbours of the worked example: 1, 0, 3, 2") {
  const Tensor x = tensor<double>({1, 2, 2, 2, 1, 2, -1, .5, 0, 0, 1, -1}, {4, 3});
  // So the mean over four rows is the mean over the two pairs, but for the sign of a difference beside an epsilon.
  CHECK(koleo_loss(x).value().item() == doctest::Approx(koleo_loss(x, 2).value().item()).epsilon(1e-7));
}

TEST_CASE("the losses of local views and masked patches are their sums, with one image and with many prototypes") {
  for (const DType dtype : {DType::f64, DType::f32})
    for (const Scores& of : {Scores{1, 5}, {1, 131}, {3, 7}, {5, 65}}) {
      const int64_t images = of.images, k = of.prototypes;
      CAPTURE(images);
      CAPTURE(k);
      CAPTURE(dtype);
      const Tensor student = Rng(3, "student").normal({3 * images, k}, 0, 1, dtype);
      const Tensor targets = core::softmax(Rng(3, "targets").normal({2 * images, k}, 0, 2, dtype));
      const Table s = rows_of(student), t = rows_of(targets);
      double local = 0;
      for (size_t v = 0; v < 3; ++v)
        for (size_t q = 0; q < 2; ++q)
          for (size_t b = 0; b < size_t(images); ++b)
            local += plain_entropy(s[v * size_t(images) + b], t[q * size_t(images) + b], 0.1) / 6 / double(images);
      const double got = dino_local_loss(student, targets, 3, 2, 0.1).value().item();
      CHECK(std::abs(got - local) < tolerance(dtype) * (1 + local));

      // Masks of 2 B images of six patches: the last has none, the others one more than the one before.
      Tensor masks = zeros({2 * images, 6}, DType::u8);
      for (int64_t i = 0; i + 1 < 2 * images; ++i)
        for (int64_t p = 0; p <= i % 6; ++p) masks.data<uint8_t>()[6 * i + p] = 1;
      const MaskedPatches masked = masked_patches(masks);
      const int64_t count = masked.rows.size(0);
      const Tensor scores = Rng(4, "scores").normal({count, k}, 0, 1, dtype);
      const Tensor patch_targets = core::softmax(Rng(4, "targets").normal({count, k}, 0, 2, dtype));
      const Table z = rows_of(scores), p = rows_of(patch_targets);
      double ibot = 0;
      size_t row = 0;
      for (int64_t i = 0; i + 1 < 2 * images; ++i)
        for (int64_t j = 0; j <= i % 6; ++j, ++row)
          ibot += plain_entropy(z[row], p[row], 0.1) / double(i % 6 + 1) / double(2 * images);
      const double loss = ibot_loss(scores, patch_targets, masked, 0.1).value().item();
      CHECK(std::abs(loss - ibot) < tolerance(dtype) * (1 + ibot));
    }
}

TEST_CASE("the terms of global and local views add up to DINO's average, as in the worked example") {
  const Tensor student =
      tensor<double>({.20, -.10, .05, 0, .30, -.20, .10, 0, -.05, -.15, .25, .10, .05, .05, 0, .10, -.20, .30}, {6, 3});
  const Tensor teacher = tensor<double>({.30, -.20, .10, .05, .20, -.10, .15, 0, -.10, -.05, .30, 0}, {4, 3});
  DinoCenter center(3, 0.9, DType::f64);
  center.set(tensor<double>({.02, .05, -.03}, {1, 3}));
  const Tensor targets = center.targets(teacher, 0.04);
  // Of 2 global and 1 local view: 2 pairs with the local one and 2 global pairs, each pair the same weight.
  const double local = dino_local_loss(student.slice(0, 4, 6), targets, 1, 2, 0.1).value().item() * 2 / 4;
  const double global = dino_loss(student.slice(0, 0, 4), targets, 2, 2, 0.1).value().item() * 2 / 4;
  CHECK(local + global == doctest::Approx(1.660535089).epsilon(1e-9));
  CHECK(std::max(local, global) == doctest::Approx(1.501758524).epsilon(1e-9));
  CHECK(std::min(local, global) == doctest::Approx(0.158776565).epsilon(1e-8));
}

}  // namespace vitrail::nn
