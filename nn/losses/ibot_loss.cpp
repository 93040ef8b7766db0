#include "vitrail/nn/losses/ibot_loss.h"

#include "vitrail/autograd/ops.h"
#include "vitrail/core/error.h"

namespace vitrail::nn {

MaskedPatches masked_patches(const Tensor& masks) {
  check<ShapeError>(masks.rank() == 2, "ibot", "masks are {}, they must be [B, N]", masks.shape());
  const int64_t images = masks.size(0), patches = masks.size(1);
  const std::vector<double> masked = masks.to_vector();
  std::vector<int64_t> rows;
  std::vector<double> weights;
  for (int64_t b = 0; b < images; ++b) {
    const size_t before = rows.size();
    for (int64_t i = b * patches; i < (b + 1) * patches; ++i)
      if (masked[size_t(i)] != 0) rows.push_back(i);
    const size_t of_image = rows.size() - before;
    weights.insert(weights.end(), of_image, 1 / double(of_image));
  }
  const int64_t count = int64_t(rows.size());
  return {tensor(rows, {count}), tensor(weights, {count}), images};
}

ag::Var ibot_loss(const ag::Var& student, const Tensor& targets, const MaskedPatches& masked, double temp) {
  const int64_t count = masked.rows.size(0);
  check<ShapeError>(student.rank() == 2 && student.shape() == targets.shape() && student.size(0) == count && count > 0,
                    "ibot", "student is {}, targets are {}; both need a row for each of {} masked patches",
                    student.shape(), targets.shape(), count);
  // Cross-entropy is linear in its target, so weighted targets give weighted rows.
  const Tensor weighted = core::mul(targets, masked.weights.to(targets.dtype()).reshape({count, 1}));
  return soft_cross_entropy(student * (1 / temp), weighted) * (double(count) / double(masked.images));
}

}  // namespace vitrail::nn
