// Matrix products.
#pragma once

#include "vitrail/core/tensor.h"

#include <optional>

namespace vitrail::core {

enum class Trans { no, yes };

/// a [..., M, K] (or [..., K, M] if trans_a) times b [..., K, N] (or [..., N, K]) -> [..., M, N]; leading axes
/// broadcast. out_dtype: f32 asks for f32 results of bf16 factors.
Tensor matmul(const Tensor& a, const Tensor& b, Trans trans_a = Trans::no, Trans trans_b = Trans::no,
              std::optional<DType> out_dtype = {});
/// x [..., in], weight [out, in], bias [out] or undefined -> x weight' + bias [..., out].
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, std::optional<DType> out_dtype = {});
/// dy [..., out], weight [out, in] -> dx [..., in] in out_dtype (dy's if not given).
Tensor linear_backward_input(const Tensor& dy, const Tensor& weight, std::optional<DType> out_dtype = {});
/// dy [..., out], x [..., in] -> dweight [out, in]; f32 for bf16 inputs.
Tensor linear_backward_weight(const Tensor& dy, const Tensor& x);

}  // namespace vitrail::core
