#include "vitrail/nn/losses/koleo.h"

#include "vitrail/autograd/ops.h"
#include "vitrail/core/error.h"

namespace vitrail::nn {
namespace {

/// For each row of x [N, D] the row of its group that has the largest product with it: i64 [N].
Tensor nearest_rows(const Tensor& x, int64_t group) {
  std::vector<int64_t> nearest;
  for (int64_t begin = 0; begin < x.size(0); begin += group) {
    const Tensor rows = x.slice(0, begin, begin + group);
    Tensor products = core::matmul(rows, rows.transpose(0, 1));
    for (int64_t i = 0; i < group; ++i) products.select(0, i).select(0, i).fill_(-2);  // itself: less than any other
    for (const double i : core::argmax(products, 1).to_vector()) nearest.push_back(begin + int64_t(i));
  }
  return tensor(nearest, {int64_t(nearest.size())});
}

}  // namespace

ag::Var koleo_loss(const ag::Var& x, int64_t group) {
  constexpr double kEps = 1e-8;
  check<ShapeError>(x.rank() == 2, "koleo", "x is {}, it must be [N, D]", x.shape());
  if (group == 0) group = x.size(0);
  check<ConfigError>(group >= 2 && x.size(0) % group == 0, "koleo",
                     "{} rows cannot be split into groups of {}; a group needs two rows or more", x.size(0), group);
  const ag::Var y = l2_normalize(cast(x, x.dtype() == DType::f64 ? DType::f64 : DType::f32), kEps);
  const ag::Var apart = y - index_select(y, 0, nearest_rows(y.value(), group)) + kEps;
  return -mean(log(norm(apart, {1}) + kEps));
}

}  // namespace vitrail::nn
