// Elements chosen by an index tensor, which is i64. All throw ShapeError naming an index that is out of range.
#pragma once

#include "vitrail/core/tensor.h"

namespace vitrail::core {

/// Rows of table [V, ...] at ids (any shape) -> [ids..., ...].
Tensor embedding(const Tensor& table, const Tensor& ids);
/// Adds dy's rows into table_grad at ids, in order.
void embedding_backward_(Tensor& table_grad, const Tensor& dy, const Tensor& ids);
/// labels [...] -> [..., classes]: `on` at the label, `off` elsewhere.
Tensor one_hot(const Tensor& labels, int64_t classes, double on = 1, double off = 0, DType dtype = DType::f32);
/// One element of each row: x [N, K], index [N] -> [N].
Tensor gather_last(const Tensor& x, const Tensor& index);

/// Slices of x along axis at index [K]: [..., N, ...] -> [..., K, ...].
Tensor index_select(const Tensor& x, int axis, const Tensor& index);
/// Adds dy's slices along axis into dx at index, in order.
void index_add_(Tensor& dx, int axis, const Tensor& index, const Tensor& dy);
/// y[i, j, k] = x[index[i, j, k], j, k] for axis 0, and so on. index has x's rank, and its sizes in all other axes. The
/// result has index's shape.
Tensor gather(const Tensor& x, int axis, const Tensor& index);
/// y[index[i, j, k], j, k] += src[i, j, k] for axis 0, and so on. index and src have one shape, and y's sizes in
/// all other axes. Positions that repeat are added in order.
void scatter_add_(Tensor& y, int axis, const Tensor& index, const Tensor& src);

}  // namespace vitrail::core
