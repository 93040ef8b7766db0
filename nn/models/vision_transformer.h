// VisionTransformer, with the options that ViT, DeiT, DINO, DINOv2 and timm's models need.
#pragma once

#include "vitrail/nn/backbone.h"
#include "vitrail/nn/patch_embed.h"
#include "vitrail/nn/transformer_block.h"

namespace vitrail::nn {

/// Which tokens the table of positions has rows for.
enum class PosEmbed {
  cls_and_patches,  // DINO, DeiT, DINOv2: [1, 1 + N, C] (distilled: 2 + N); registers come in later and have none
  patches,          // DeiT III, timm's no_embed_class: [1, N, C]
  all_tokens,       // timm's default with registers: [1, 1 + R + N, C] (distilled: 2 + R + N)
};
/// What heads read: the class token, the mean of the patch tokens, or both side by side, as DINOv2's classifiers do.
enum class Pool { token, avg, token_and_avg };

struct VitConfig {
  int64_t img_size = 224;
  int64_t patch_size = 16;
  int64_t in_chans = 3;
  int64_t num_classes = 1000;  // 0: no head
  int64_t embed_dim = 384;
  int64_t depth = 12;
  int64_t num_heads = 6;
  double mlp_ratio = 4;
  int64_t mlp_hidden = 0;  // 0: from mlp_ratio (SwiGLU: DINOv2's rule)
  Ffn ffn = Ffn::mlp;
  ag::Gelu gelu = ag::Gelu::erf;
  double ln_eps = 1e-6;
  bool qkv_bias = true;
  bool qk_norm = false;
  bool class_token = true;
  bool distilled = false;  // DeiT: a distillation token with a head of its own
  int64_t num_registers = 0;
  bool mask_token = false;  // DINOv2: stands for masked patches
  PosEmbed pos_embed = PosEmbed::cls_and_patches;
  ag::PosInterp pos_interp = ag::PosInterp::size_antialias;  // for images of another size
  bool pre_norm = false;  // CLIP: LayerNorm before the blocks, patch embedding without bias
  Pool pool = Pool::token;
  bool fc_norm = false;        // timm's average pooling: norm after the mean, in place of the norm on tokens
  double layerscale_init = 0;  // 0: no LayerScale
  double drop_rate = 0;        // dropout after the positions and in the blocks
  double patch_drop_rate = 0;  // patches left out in training
  bool head_bias = true;       // CLIP's projection has none
  double drop_path_rate = 0;
  bool drop_path_uniform = false;  // the rate in every block; else it rises from 0 in the first to it in the last
};

/// The published sizes: vit_tiny, vit_small, vit_base, vit_large, vit_huge (deit_* and dino_* names are theirs too).
/// Throws ConfigError listing them for another name.
VitConfig vit_variant(std::string_view name);
std::vector<std::string> vit_variants();

/// Shape:  images [B, in_chans, H, W] -> logits [B, num_classes]. H and W are multiples of patch_size; for another size
///         than img_size the positions are resampled.
/// Source: Dosovitskiy et al. 2021 (arXiv:2010.11929); distilled: Touvron et al. 2021 (arXiv:2012.12877), section 4;
///         parameter names as in timm.
struct VisionTransformer final : Module<VisionTransformer, Backbone> {
  VisionTransformer(const Scope& scope, const VitConfig& config);

  Var forward(const Var& images) { return logits(images); }

  /// Pooled [B, C]; distilled: class and distillation token side by side, [B, 2 C]; Pool::token_and_avg: [B, 2 C].
  Var features(const Var& images) override;
  Var classify(const Var& features) override;
  std::vector<Var> heads(const Var& features) override;
  int64_t feature_dim() const override {
    return (config.distilled || config.pool == Pool::token_and_avg ? 2 : 1) * config.embed_dim;
  }
  int64_t num_classes() const override { return config.num_classes; }

  /// All tokens after the final norm: [B, T, C], in this order: class token, distillation token, registers, patches.
  /// masks u8 [B, N] (or undefined): 1 puts the mask token in place of the patch.
  Var forward_tokens(const Var& images, const Tensor& masks = {});
  /// Tokens before the final norm.
  Var forward_blocks(const Var& images, const Tensor& masks = {});
  /// The outputs of the last n blocks, oldest first, each after the final norm: [B, T, C].
  std::vector<Var> intermediate_layers(const Var& images, int64_t n);
  /// The attention weights of the last block: [B, H, T, T].
  Tensor last_self_attention(const Var& images);
  /// The positions for a grid of patches: [1, rows, C].
  Var positions(ag::Grid grid);
  /// Tokens in front of the patches.
  int64_t prefix_tokens() const { return read_tokens() + config.num_registers; }
  /// The first of them, which heads read: class and distillation token.
  int64_t read_tokens() const { return (config.class_token ? 1 : 0) + (config.distilled ? 1 : 0); }
  /// Rows of the table of positions in front of those of the patches.
  int64_t prefix_positions() const;

  VitConfig config;
  bool checkpoint_blocks = false;  // keep only each block's input and run it again in the sweep

  std::optional<Param> cls_token, dist_token, reg_token, mask_token;  // [1, 1, C] twice, [1, R, C], [1, C]
  Param pos_embed;
  PatchEmbed patch_embed;
  Dropout pos_drop;
  PatchDropout patch_drop;
  std::optional<LayerNorm> norm_pre;
  ModuleList<TransformerBlock> blocks;
  std::optional<LayerNorm> norm, fc_norm;
  std::optional<Linear> head, head_dist;

 private:
  Var embed(const Var& images, const Tensor& masks);
  Var run_block(size_t i, const Var& x, std::optional<int64_t> first = {});
  Var final_norm(const Var& tokens);
};

}  // namespace vitrail::nn
