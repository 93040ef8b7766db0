// Differentiable matrix products.
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/int8.h"
#include "vitrail/core/ops/matmul.h"

#include <optional>

namespace vitrail::ag {

using core::Trans;

/// Batched product, computed in bf16 under autocast. Shapes and errors as core::matmul().
Var matmul(const Var& a, const Var& b, Trans trans_a = Trans::no, Trans trans_b = Trans::no,
           std::optional<DType> out_dtype = {});
/// bias may be undefined. out_dtype: f32 under autocast if the result joins the f32 residual stream or a loss.
Var linear(const Var& x, const Var& weight, const Var& bias, std::optional<DType> out_dtype = {});
/// The same with weights of 8 bits, see core::linear(). Throws TapeError if x or bias needs a gradient.
Var linear(const Var& x, const core::Int8Matrix& weight, const Var& bias, std::optional<DType> out_dtype = {});
/// x W' with W_k = g_k v_k / |v_k|. Scales the product with v, so W is never formed. f32 under autocast.
/// Shape: x [..., in], v [out, in], g [out, 1] -> [..., out].
Var weight_norm_linear(const Var& x, const Var& v, const Var& g);

}  // namespace vitrail::ag
