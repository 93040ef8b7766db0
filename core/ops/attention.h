// Scaled dot-product attention.
#pragma once

#include "vitrail/core/tensor.h"

namespace vitrail::core {

/// Which keys a query sees, and the scale of the scores. M queries, N keys.
struct AttentionOptions {
  double scale = 1;         // multiplies q k'
  bool causal = false;      // query i is token first_query + i of the sequence and sees keys 0 .. first_query + i
  int64_t first_query = 0;  // with a cache of keys, the number of keys before the first query
  int64_t prefix = 0;       // causal: the first so many keys are seen by all queries
  Tensor mask = {};         // u8 [B or 1, H or 1, M or 1, N]: 1 where a query may see a key; undefined: everywhere
};
/// softmax(scale q k' + bias) v, heads side by side. A query that sees no key gives zeros.
/// Shape:  q [B, H, M, D], k and v [B, H / G, N, D] in any strides (views of a packed projection) -> y [B, M, H * D].
///         Query head h reads key head h / G (grouped heads). bias [H or 1, M, N] or undefined. lse [B, H, M]: the log
///         of each row's sum of exponentials, kept for the backward function; 0 for a query that sees no key.
/// Dtype:  lse and bias are f32 for bf16 q.
/// Throws: ShapeError if sizes or types do not fit, or if first_query or prefix is negative.
/// Source: Vaswani et al. 2017 (arXiv:1706.03762), eq. 1; grouped heads: Ainslie et al. 2023 (arXiv:2305.13245).
struct AttentionOut {
  Tensor y, lse;
};
AttentionOut attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options,
                       const Tensor& bias = {});
/// Writes dq, dk, dv, which are views of the shapes of q, k, v (so one packed gradient can be filled in place).
/// Returns the gradient of bias if wants_bias, else an undefined tensor.
Tensor attention_backward(const Tensor& dy, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOut& out,
                          const AttentionOptions& options, Tensor dq, Tensor dk, Tensor dv, const Tensor& bias = {},
                          bool wants_bias = false);
/// The weights softmax(scale q k' + bias): [B, H, M, N].
Tensor attention_weights(const Tensor& q, const Tensor& k, const AttentionOptions& options, const Tensor& bias = {});

}  // namespace vitrail::core
