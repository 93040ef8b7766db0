// Multi-head self-attention.
#pragma once

#include "vitrail/nn/dropout.h"
#include "vitrail/nn/linear.h"
#include "vitrail/nn/norm.h"

namespace vitrail::nn {

struct AttentionConfig {
  int64_t dim = 384;
  int64_t num_heads = 6;
  bool qkv_bias = true;
  bool qk_norm = false;  // LayerNorm of each head's queries and keys
  bool causal = false;
  double proj_drop = 0;
};

/// proj(softmax(q k' / sqrt(D)) v) over H heads of D = C / H.
/// Shape:  x [B, N, C] -> [B, N, C], f32 under autocast (it joins the residual stream).
/// Throws: ConfigError if C is not a multiple of the heads.
/// Source: Vaswani et al. 2017 (arXiv:1706.03762); parameter names as in timm.
struct Attention final : Module<Attention> {
  Attention(const Scope& scope, const AttentionConfig& config);

  /// first: the queries of the first so many tokens alone, against all keys and values: [B, N, C] -> [B, first, C].
  Var forward(const Var& x, std::optional<int64_t> first = {});
  /// The same for a token of its own in each sample, at places i64 [B, 1].
  Var forward(const Var& x, const Tensor& places);
  /// The attention weights [B, H, N, N] for the same x.
  Tensor weights(const Var& x);

  Linear qkv;
  std::optional<LayerNorm> q_norm, k_norm;  // over D
  Linear proj;
  Dropout proj_drop;

 private:
  struct Heads {
    Var q, k, v;  // [B, H, N, D]; q [B, H, M, D] of M queries
  };
  /// queries: the tokens to take q of, if not all of x.
  Heads heads(const Var& x, const Var& queries = {});

  AttentionConfig config_;
  ag::AttentionOptions options_;
};

}  // namespace vitrail::nn
