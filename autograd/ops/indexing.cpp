#include "vitrail/autograd/ops/indexing.h"

#include "vitrail/autograd/ops/shape.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops/elementwise.h"

namespace vitrail::ag {

Var embedding(const Var& table, const Tensor& ids) {
  return record("embedding", core::embedding(table.value(), ids), {table},
                [ids](const Tensor& dy, Sink& dx) { core::embedding_backward_(dx.buffer(0), dy, ids); });
}

Var gather_tokens(const Var& x, const Tensor& places) {
  check<ShapeError>(x.rank() == 3 && places.rank() == 2 && places.size(0) == x.size(0), "gather_tokens",
                    "x is {}, places are {}; they must be [B, N, C] and [B, K]", x.shape(), places.shape());
  const int64_t batch = x.size(0), tokens = x.size(1), kept = places.size(1);
  Tensor rows = places.clone();  // of x as [B * N, C]
  auto row = rows.span<int64_t>();
  for (size_t i = 0; i < row.size(); ++i) {
    check<ShapeError>(0 <= row[i] && row[i] < tokens, "gather_tokens", "place {} is outside [0, {})", row[i], tokens);
    row[i] += int64_t(i) / kept * tokens;
  }
  return embedding(reshape(x, {batch * tokens, x.size(2)}), rows);
}

Var gather_last(const Var& x, const Tensor& index) {
  return record("gather_last", core::gather_last(x.value(), index), {x},
                [index, classes = x.size(-1)](const Tensor& dy, Sink& dx) {
                  const Tensor chosen = core::one_hot(index, classes, 1, 0, dy.dtype());  // [N, K]
                  dx.add(0, core::mul(chosen, dy.unsqueeze(-1)));
                });
}

Var index_select(const Var& x, int axis, const Tensor& index) {
  return record("index_select", core::index_select(x.value(), axis, index), {x},
                [axis, index](const Tensor& dy, Sink& dx) { core::index_add_(dx.buffer(0), axis, index, dy); });
}

Var index_add(const Var& x, int axis, const Tensor& index, const Var& src) {
  Tensor y = x.value().clone();
  core::index_add_(y, axis, index, src.value());
  return record("index_add", std::move(y), {x, src}, [axis, index](const Tensor& dy, Sink& dx) {
    dx.add(0, dy);
    if (dx.wants(1)) dx.add(1, core::index_select(dy, axis, index));
  });
}

Var gather(const Var& x, int axis, const Tensor& index) {
  return record("gather", core::gather(x.value(), axis, index), {x},
                [axis, index](const Tensor& dy, Sink& dx) { core::scatter_add_(dx.buffer(0), axis, index, dy); });
}

Var scatter_add(const Var& x, int axis, const Tensor& index, const Var& src) {
  Tensor y = x.value().clone();
  core::scatter_add_(y, axis, index, src.value());
  return record("scatter_add", std::move(y), {x, src}, [axis, index](const Tensor& dy, Sink& dx) {
    dx.add(0, dy);
    if (dx.wants(1)) dx.add(1, core::gather(dy, axis, index));
  });
}

}  // namespace vitrail::ag
