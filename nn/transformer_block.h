// TransformerBlock: attention and feed-forward, each on a normalised copy and added back.
#pragma once

#include "vitrail/nn/attention.h"
#include "vitrail/nn/mlp.h"

#include <functional>

namespace vitrail::nn {

enum class Ffn { mlp, swiglu };

/// Layers of one's own in place of the standard ones. Each is built in the scope it is given; parameters may have any
/// names. An empty function means the standard layer.
struct BlockParts {
  std::function<std::unique_ptr<SelfAttention>(const Scope& scope, const AttentionConfig& config)> attn;
  std::function<std::unique_ptr<Layer>(const Scope& scope, int64_t dim, double eps)> norm;
  std::function<std::unique_ptr<Layer>(const Scope& scope, int64_t dim, int64_t hidden)> ffn;

  /// The norm of these parts: LayerNorm if there is no other.
  std::unique_ptr<Layer> make_norm(const Scope& scope, int64_t dim, double eps) const;
};

struct BlockConfig {
  AttentionConfig attn;
  Ffn ffn = Ffn::mlp;
  int64_t ffn_hidden = 1536;
  ag::Gelu gelu = ag::Gelu::erf;
  double ln_eps = 1e-6;
  double layerscale_init = 0;  // 0: no LayerScale
  double drop = 0;             // dropout in the feed-forward
  double drop_path = 0;        // probability of dropping a branch, per sample
  DropPathMode drop_path_mode = DropPathMode::mask;
  BlockParts parts = {};
};

/// Pre-norm transformer block: x += attn(norm1(x)); x += mlp(norm2(x)).
///
/// Shape:  x [B, N, C] -> [B, N, C], or [B, K, C] for K rows. The residual stream stays f32 under autocast.
/// Source: Dosovitskiy et al. 2021 (arXiv:2010.11929), eq. 2-3; parameter names as in timm.
struct TransformerBlock final : Module<TransformerBlock> {
  TransformerBlock(const Scope& scope, const BlockConfig& config);

  Var forward(const Var& x, const Rows& rows = {}, const Places& places = {});

  std::unique_ptr<Layer> norm1;
  std::unique_ptr<SelfAttention> attn;
  std::optional<LayerScale> ls1;
  std::unique_ptr<Layer> norm2;
  std::unique_ptr<Layer> mlp;  // Mlp, SwiGLU, or of BlockParts
  std::optional<LayerScale> ls2;
  DropPath drop_path;
};

}  // namespace vitrail::nn
