// Differentiable twins of core/ops.h: same names, same meaning. A Var argument finds them by argument-dependent lookup,
// so modules need no prefix. Shapes, sources and errors are documented with the kernels.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops.h"

#include <functional>
#include <optional>
#include <vector>

namespace vitrail::ag {

using core::AttentionOptions;
using core::ConvOptions;
using core::CrossEntropyOptions;
using core::Gelu;
using core::Grid;
using core::PosInterp;
using core::Trans;

// ---- elementwise.cpp ----------------------------------------------------------------------------------------------
Var add(const Var& a, const Var& b);
Var sub(const Var& a, const Var& b);
Var mul(const Var& a, const Var& b);
Var div(const Var& a, const Var& b);
Var affine(const Var& x, double factor, double offset = 0);
Var where(const Tensor& mask, const Var& a, const Var& b);
/// To another floating type; the gradient comes back in x's.
Var cast(const Var& x, DType dtype);
inline Var operator+(const Var& a, const Var& b) { return add(a, b); }
inline Var operator-(const Var& a, const Var& b) { return sub(a, b); }
inline Var operator*(const Var& a, const Var& b) { return mul(a, b); }
inline Var operator/(const Var& a, const Var& b) { return div(a, b); }
inline Var operator*(const Var& x, double factor) { return affine(x, factor); }
inline Var operator*(double factor, const Var& x) { return affine(x, factor); }
inline Var operator+(const Var& x, double offset) { return affine(x, 1, offset); }
inline Var operator-(const Var& x, double offset) { return affine(x, 1, -offset); }
inline Var operator-(const Var& x) { return affine(x, -1); }

// ---- activation.cpp -----------------------------------------------------------------------------------------------
Var exp(const Var& x);
Var log(const Var& x);
Var sqrt(const Var& x);
Var tanh(const Var& x);
Var sigmoid(const Var& x);
Var relu(const Var& x);
Var silu(const Var& x);
Var gelu(const Var& x, Gelu kind = Gelu::erf);
Var swiglu(const Var& x);
/// Each element is kept with probability 1 - p and divided by it. Srivastava et al. 2014.
Var dropout(const Var& x, double p);
/// Drops whole samples (axis 0) of x [B, ...] with probability p. Huang et al. 2016 (arXiv:1603.09382).
Var drop_path(const Var& x, double p);

// ---- reduce.cpp ---------------------------------------------------------------------------------------------------
Var sum(const Var& x, const std::vector<int>& axes = {}, bool keepdim = false);
Var mean(const Var& x, const std::vector<int>& axes = {}, bool keepdim = false);
Var softmax(const Var& x);
Var log_softmax(const Var& x);

// ---- matmul.cpp ---------------------------------------------------------------------------------------------------
Var matmul(const Var& a, const Var& b, Trans trans_a = Trans::no, Trans trans_b = Trans::no,
           std::optional<DType> out_dtype = {});
/// bias may be undefined. out_dtype: f32 where the result joins the f32 residual stream or a loss under autocast.
Var linear(const Var& x, const Var& weight, const Var& bias, std::optional<DType> out_dtype = {});
/// x W' with W_k = g_k v_k / |v_k|: the product with v is scaled, so that W is never formed. f32 under autocast.
/// Shape: x [..., in], v [out, in], g [out, 1] -> [..., out].
Var weight_norm_linear(const Var& x, const Var& v, const Var& g);

// ---- conv.cpp -----------------------------------------------------------------------------------------------------
Var conv2d(const Var& x, const Var& weight, const Var& bias, const ConvOptions& options);
Var max_pool2d(const Var& x, int64_t size, int64_t stride, int64_t padding);

// ---- norm.cpp -----------------------------------------------------------------------------------------------------
/// out_dtype: of the result; else bf16 under autocast, as x without.
Var layer_norm(const Var& x, const Var& weight, const Var& bias, double eps, std::optional<DType> out_dtype = {});
Var rms_norm(const Var& x, const Var& weight, double eps);
/// Batch statistics; on_statistics(mean, biased variance) feeds the running averages.
Var batch_norm_train(const Var& x, const Var& weight, const Var& bias, double eps,
                     const std::function<void(const Tensor& mean, const Tensor& var)>& on_statistics);
Var batch_norm_eval(const Var& x, const Var& weight, const Var& bias, const Tensor& mean, const Tensor& var,
                    double eps);
Var l2_normalize(const Var& x, double eps = 1e-12);

// ---- attention.cpp ------------------------------------------------------------------------------------------------
/// q [B, H, M, D], k and v [B, H / G, N, D] -> [B, M, H * D]. bias [H or 1, M, N] or undefined.
Var attention(const Var& q, const Var& k, const Var& v, const AttentionOptions& options, const Var& bias = {});
/// On the packed projection qkv [B, N, 3 * H * D], read in place; its gradient is written in place too.
Var attention(const Var& qkv, int64_t num_heads, const AttentionOptions& options, const Var& bias = {});

// ---- patch.cpp ----------------------------------------------------------------------------------------------------
Var patchify(const Var& images, int64_t patch_size);
Var resample_positions(const Var& table, Grid from, Grid to, PosInterp mode);

// ---- view.cpp, indexing.cpp ---------------------------------------------------------------------------------------
// Views share elements; reshape copies a tensor that is not dense.
Var reshape(const Var& x, std::initializer_list<int64_t> sizes);
Var transpose(const Var& x, int a, int b);
Var permute(const Var& x, const std::vector<int>& axes);
Var slice(const Var& x, int axis, int64_t begin, int64_t end);
Var select(const Var& x, int axis, int64_t index);
Var expand(const Var& x, const Shape& shape);
Var concat(const std::vector<Var>& parts, int axis);
Var embedding(const Var& table, const Tensor& ids);
Var gather_last(const Var& x, const Tensor& index);
/// Some tokens of each sample: x [B, N, C], places i64 [B, K] -> [B, K, C].
Var gather_tokens(const Var& x, const Tensor& places);

// ---- losses.cpp ---------------------------------------------------------------------------------------------------
/// Scalars, f32 (f64 for f64 logits).
Var cross_entropy(const Var& logits, const Tensor& labels, const CrossEntropyOptions& options = {});
Var soft_cross_entropy(const Var& logits, const Tensor& target);
Var bce_with_logits(const Var& logits, const Tensor& target);
/// Mean of (x - target)^2.
Var mse(const Var& x, const Var& target);

}  // namespace vitrail::ag
