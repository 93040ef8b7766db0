// Sums, extremes, statistics and softmax. `axes` lists the axes to reduce; an empty list means all of them. With
// keepdim a reduced axis keeps size 1. Negative axes count from the end.
#pragma once

#include "vitrail/core/tensor.h"

#include <optional>
#include <vector>

namespace vitrail::core {

/// Sums run in fixed chunks, so the result does not depend on the thread count.
Tensor sum(const Tensor& x, const Axes& axes = {}, bool keepdim = false);
Tensor mean(const Tensor& x, const Axes& axes = {}, bool keepdim = false);
/// Undoes broadcasting: sums x down to `shape`, which must broadcast to x's shape. out_dtype: of the sum, if not x's.
Tensor sum_to(const Tensor& x, const Shape& shape, std::optional<DType> out_dtype = {});
/// Variance: the sum of (x - mean)^2 divided by (count - correction); correction 1 is PyTorch's default, 0 the biased
/// variance. NaN if count <= correction.
Tensor var(const Tensor& x, const Axes& axes = {}, bool keepdim = false, double correction = 1);
Tensor var_backward(const Tensor& dy, const Tensor& x, const Axes& axes, double correction);
/// sqrt(var(x)). PyTorch calls it std, a name that C++ has taken.
Tensor stddev(const Tensor& x, const Axes& axes = {}, bool keepdim = false, double correction = 1);
/// sqrt of the sum of squares over axes.
Tensor norm(const Tensor& x, const Axes& axes, bool keepdim = false);
/// The same of all elements, as double.
double norm(const Tensor& x);
/// log of the sum of e^x, without overflow.
Tensor logsumexp(const Tensor& x, const Axes& axes = {}, bool keepdim = false);
/// Element i is the sum of elements 0..i along axis; from the other end if reverse.
Tensor cumsum(const Tensor& x, int axis, bool reverse = false);

/// The extreme along one axis and its position, i64; the first of equal elements. NaN wins.
struct MaxOut {
  Tensor values, indices;
};
MaxOut max(const Tensor& x, int axis, bool keepdim = false);
MaxOut min(const Tensor& x, int axis, bool keepdim = false);
Tensor argmax(const Tensor& x, int axis);
Tensor argmin(const Tensor& x, int axis);
/// The extreme over axes.
Tensor amax(const Tensor& x, const Axes& axes = {}, bool keepdim = false);
Tensor amin(const Tensor& x, const Axes& axes = {}, bool keepdim = false);
/// The gradient of y = amax(x, axes) or amin(x, axes): equal extremes share dy evenly.
Tensor amax_backward(const Tensor& dy, const Tensor& x, const Tensor& y, const Axes& axes);
/// The k largest of the last axis, largest first; ties by lower index. [..., N] -> values, indices [..., k].
MaxOut topk(const Tensor& x, int64_t k);

/// Over the last axis.
Tensor softmax(const Tensor& x);
Tensor softmax_backward(const Tensor& dy, const Tensor& y);
Tensor log_softmax(const Tensor& x);
Tensor log_softmax_backward(const Tensor& dy, const Tensor& y);

/// No element is NaN or infinite.
bool all_finite(const Tensor& x);

/// The shape with the reduced axes at size 1, as keepdim gives it.
Shape kept_shape(const Shape& shape, const Axes& axes);
/// The shape of a reduction over axes.
Shape reduced_shape(const Shape& shape, const Axes& axes, bool keepdim);
/// Spreads y, a reduction of something of this shape over axes, back over it: a view with strides 0.
Tensor spread(const Tensor& y, const Shape& shape, const Axes& axes);

}  // namespace vitrail::core
