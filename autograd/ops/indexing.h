// Differentiable choice of elements by an index tensor, which is i64.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/indexing.h"

namespace vitrail::ag {

/// Shapes and errors as in core/ops/indexing.h.
Var embedding(const Var& table, const Tensor& ids);
Var gather_last(const Var& x, const Tensor& index);
/// Some tokens of each sample: x [B, N, C], places [B, K] -> [B, K, C].
Var gather_tokens(const Var& x, const Tensor& places);
/// Shapes and errors as in core/ops/indexing.h.
Var index_select(const Var& x, int axis, const Tensor& index);
Var gather(const Var& x, int axis, const Tensor& index);
/// A copy of x with src's slices added along axis at index, as core::index_add_() does in place.
Var index_add(const Var& x, int axis, const Tensor& index, const Var& src);
/// A copy of x with src added at index, as core::scatter_add_() does in place.
Var scatter_add(const Var& x, int axis, const Tensor& index, const Var& src);

}  // namespace vitrail::ag
