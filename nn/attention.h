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
  int64_t window = 0;  // side of the windows that patches see, in patches; 0: all tokens see each other
  double proj_drop = 0;
};

/// Where the tokens of a sequence lie: `prefix` tokens without a place (class token, registers), then the patches of a
/// grid, row by row. Texts and attention without windows need no places.
struct Places {
  int64_t prefix = 0;
  ag::Grid grid = {};
  ag::Rope rope = {};  // of the patches; undefined: queries and keys are not rotated
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

/// Self-attention of a transformer block. A variant implements forward; one that depends on the places of tokens also
/// implements forward_rows.
/// Shape: x [B, N, C] -> [B, N, C], f32 under autocast for the residual stream; [B, K, C] for K rows.
class SelfAttention : public ModuleBase {
 public:
  using ModuleBase::ModuleBase;
  virtual Var forward(const Var& x) = 0;
  /// Computes the wanted rows alone where that is cheaper.
  virtual Var forward_rows(const Var& x, const Rows& rows, const Places& /*places*/) { return rows.of(forward(x)); }
  /// The attention weights [B, H, N, N] for the same x. Throws ConfigError if the variant does not offer them.
  virtual Tensor weights(const Var& x, const Places& places = {});

  Var operator()(const Var& x, const Rows& rows = {}, const Places& places = {}) {
    return call([&] { return forward_rows(x, rows, places); });
  }
};

/// proj(softmax(q k' / sqrt(D)) v) over H heads of D = C / H. With config.window, core::window_attention computes it.
/// With places.rope, queries and keys of patches are rotated.
/// Throws: ConfigError if C is not a multiple of the heads. ShapeError if x does not have the tokens of places.
/// Source: Vaswani et al. 2017 (arXiv:1706.03762); parameter names as in timm.
struct Attention final : SelfAttention {
  Attention(const Scope& scope, const AttentionConfig& config);

  Var forward(const Var& x) override { return forward_rows(x, {}, {}); }
  Var forward_rows(const Var& x, const Rows& rows, const Places& places) override;
  Tensor weights(const Var& x, const Places& places = {}) override;

  Linear qkv;
  std::optional<LayerNorm> q_norm, k_norm;  // over D
  Linear proj;
  Dropout proj_drop;

 private:
  struct Heads {
    Var q, k, v;  // [B, H, N, D]; q [B, H, K, D] for K rows
  };
  Heads heads(const Var& x, const Rows& rows, const Places& places);
  /// Attention of all tokens, before the projection.
  Var attend(const Var& x, const Places& places);
  /// softmax(scores) v for one query of each sample, at one token of each: [B, 1, C].
  Var attend_at(const Heads& h, const Tensor& tokens);
  ag::Windows windows(const Places& places) const { return {places.prefix, places.grid, config_.window}; }
  Var project(const Var& y) { return proj_drop(proj(y, DType::f32)); }

  AttentionConfig config_;
  ag::AttentionOptions options_;
};

}  // namespace vitrail::nn
