// Scaled dot-product attention.
#pragma once

#include "vitrail/core/tensor.h"

namespace vitrail::core {

struct AttentionOptions {
  double scale = 1;     // multiplies q k'
  bool causal = false;  // token i sees tokens 0..i
};
/// softmax(scale q k') v. q [B, H, M, D], k and v [B, H, N, D] (any strides: views of a packed projection)
/// -> y [B, M, H * D], heads side by side. lse [B, H, M]: log of each row's sum of exponentials, kept for the backward
/// (f32 for bf16). Vaswani et al. 2017 (arXiv:1706.03762), eq. 1.
struct AttentionOut {
  Tensor y, lse;
};
AttentionOut attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options);
/// Writes dq, dk, dv, which are views of the shapes of q, k, v (so one packed gradient can be filled in place).
void attention_backward(const Tensor& dy, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOut& out,
                        const AttentionOptions& options, Tensor dq, Tensor dk, Tensor dv);
/// The weights themselves: softmax(scale q k') [B, H, M, N].
Tensor attention_weights(const Tensor& q, const Tensor& k, const AttentionOptions& options);

}  // namespace vitrail::core
