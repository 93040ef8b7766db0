// Multi-head self-attention, and the interface that attention variants of a block implement.
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

/// The tokens whose outputs are wanted; all tokens serve as keys and values. Default: all of them.
struct Rows {
  std::optional<int64_t> first;  // the first so many
  Tensor places;                 // or one token of each sample, at places i64 [B, 1]

  /// True for the default: no token is left out.
  bool all() const { return !first && !places.defined(); }
  /// x [B, N, C] -> [B, K, C].
  Var of(const Var& x) const;
  /// The same tokens of some samples of the batch, i64 [S]; of all if undefined.
  Rows of_samples(const Tensor& samples) const;
};

/// Self-attention of a transformer block. A variant implements forward.
/// Shape: x [B, N, C] -> [B, N, C], f32 under autocast for the residual stream; [B, K, C] for K rows.
class SelfAttention : public ModuleBase {
 public:
  using ModuleBase::ModuleBase;
  virtual Var forward(const Var& x) = 0;
  /// Computes the wanted rows alone where that is cheaper.
  virtual Var forward_rows(const Var& x, const Rows& rows) { return rows.of(forward(x)); }
  /// The attention weights [B, H, N, N] for the same x. Throws ConfigError if the variant does not offer them.
  virtual Tensor weights(const Var& x);

  Var operator()(const Var& x, const Rows& rows = {}) {
    return call([&] { return rows.all() ? forward(x) : forward_rows(x, rows); });
  }
};

/// proj(softmax(q k' / sqrt(D)) v) over H heads of D = C / H.
/// Throws: ConfigError if C is not a multiple of the heads.
/// Source: Vaswani et al. 2017 (arXiv:1706.03762); parameter names as in timm.
struct Attention final : SelfAttention {
  Attention(const Scope& scope, const AttentionConfig& config);

  Var forward(const Var& x) override;
  Var forward_rows(const Var& x, const Rows& rows) override;
  Tensor weights(const Var& x) override;

  Linear qkv;
  std::optional<LayerNorm> q_norm, k_norm;  // over D
  Linear proj;
  Dropout proj_drop;

 private:
  struct Heads {
    Var q, k, v;  // [B, H, N, D]; q [B, H, K, D] for K rows
  };
  Heads heads(const Var& x, const Rows& rows = {});
  /// softmax(scores) v for one query of each sample, at places: [B, 1, C].
  Var attend_at(const Heads& h, const Tensor& places);
  Var project(const Var& y) { return proj_drop(proj(y, DType::f32)); }

  AttentionConfig config_;
  ag::AttentionOptions options_;
};

}  // namespace vitrail::nn
