#include "vitrail/nn/dropout.h"

#include "vitrail/autograd/scope.h"

#include <algorithm>
#include <numeric>

namespace vitrail::nn {

Tensor DropPath::subset(int64_t batch) const {
  if (mode == DropPathMode::mask || !is_training() || p == 0) return {};
  std::vector<int64_t> order = ag::RandomScope::next().permutation(batch);
  order.resize(size_t(std::max<int64_t>(1, int64_t(double(batch) * (1 - p)))));
  return tensor(order, {int64_t(order.size())});
}

Var PatchDropout::forward(const Var& x) {
  if (!is_training() || p == 0) return x;
  const int64_t batch = x.size(0), patches = x.size(1) - prefix;
  const int64_t kept = std::max<int64_t>(1, int64_t(double(patches) * (1 - p)));
  Rng rng = ag::RandomScope::next();
  const Tensor drawn = core::topk(rng.normal({batch, patches}, 0, 1), kept).indices;  // [B, kept]
  Tensor places = Tensor::empty({batch, prefix + kept}, DType::i64);
  for (int64_t b = 0; b < batch; ++b) {
    int64_t* const row = places.data<int64_t>() + b * (prefix + kept);
    std::iota(row, row + prefix, 0);
    for (int64_t i = 0; i < kept; ++i) row[prefix + i] = prefix + drawn.data<int64_t>()[b * kept + i];
  }
  return gather_tokens(x, places);
}

}  // namespace vitrail::nn
