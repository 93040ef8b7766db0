// TransformerBlock: attention and feed-forward, each on a normalised copy and added back.
#pragma once

#include "vitrail/nn/attention.h"
#include "vitrail/nn/mlp.h"

namespace vitrail::nn {

enum class Ffn { mlp, swiglu };

struct BlockConfig {
  AttentionConfig attn;
  Ffn ffn = Ffn::mlp;
  int64_t ffn_hidden = 1536;
  ag::Gelu gelu = ag::Gelu::erf;
  double ln_eps = 1e-6;
  double layerscale_init = 0;  // 0: no LayerScale
  double drop = 0;             // dropout in the feed-forward
  double drop_path = 0;        // probability of dropping a branch, per sample
};

/// Pre-norm transformer block: x += attn(norm1(x)); x += mlp(norm2(x)).
///
/// Shape:  x [B, N, C] -> [B, N, C]. The residual stream stays f32 under autocast.
/// Source: Dosovitskiy et al. 2021 (arXiv:2010.11929), eq. 2-3; parameter names as in timm.
struct TransformerBlock final : Module<TransformerBlock> {
  TransformerBlock(const Scope& scope, const BlockConfig& config);

  /// first: the outputs of the first so many tokens alone, [B, first, C]; the others serve as keys and values.
  Var forward(const Var& x, std::optional<int64_t> first = {});
  /// The same for a token of its own in each sample, at places i64 [B, 1].
  Var forward(const Var& x, const Tensor& places);

  LayerNorm norm1;
  Attention attn;
  std::optional<LayerScale> ls1;
  LayerNorm norm2;
  std::optional<Mlp> mlp;        // one of these two, both called "mlp"
  std::optional<SwiGLU> swiglu;  //
  std::optional<LayerScale> ls2;
  DropPath drop_path;

 private:
  Var add_branches(const Var& x, const Var& attended);
};

}  // namespace vitrail::nn
