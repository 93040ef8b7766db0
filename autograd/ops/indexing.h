// Differentiable choice of elements by an index tensor.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/indexing.h"

namespace vitrail::ag {

Var embedding(const Var& table, const Tensor& ids);
Var gather_last(const Var& x, const Tensor& index);
/// Some tokens of each sample: x [B, N, C], places i64 [B, K] -> [B, K, C].
Var gather_tokens(const Var& x, const Tensor& places);

}  // namespace vitrail::ag
