// VisionTransformer: an image as a sequence of patches.
#pragma once

#include "vitrail/nn/backbone.h"
#include "vitrail/nn/models/vit_config.h"
#include "vitrail/nn/patch_embed.h"

#include <functional>

namespace vitrail::nn {

/// Shape:  images [B, in_chans, H, W] -> logits [B, num_classes]. H and W are multiples of patch_size; for another size
///         than img_size the positions are resampled.
/// Source: Dosovitskiy et al. 2021 (arXiv:2010.11929); distilled: Touvron et al. 2021 (arXiv:2012.12877), section 4;
///         parameter names as in timm.
struct VisionTransformer final : Module<VisionTransformer, TokenBackbone> {
  VisionTransformer(const Scope& scope, const VitConfig& config);

  Var forward(const Var& images, Compute compute = Compute::needed) { return logits(images, compute); }

  /// Pooled [B, C]; distilled: class and distillation token side by side, [B, 2 C]; Pool::token_and_avg: [B, 2 C].
  Var features(const Var& images, Compute compute = Compute::needed) override;
  Var classify(const Var& features) override;
  std::vector<Var> heads(const Var& features) override;
  int64_t feature_dim() const override {
    return (config.distilled || config.pool == Pool::token_and_avg ? 2 : 1) * config.embed_dim;
  }
  int64_t num_classes() const override { return config.num_classes; }
  int64_t patch_size() const override { return config.patch_size; }

  Tokens tokens(const Var& images, const Tensor& masks = {}) override;
  std::vector<Tokens> intermediate_tokens(const Var& images, int64_t n, bool normed = true) override;
  int64_t depth() const override { return config.depth; }
  bool has_class_token() const override { return config.class_token; }
  int64_t prefix_tokens() const override { return config.read_tokens() + config.num_registers; }

  /// tokens() in one tensor [B, T, C]: class token, distillation token, registers, patches.
  Var forward_tokens(const Var& images, const Tensor& masks = {});
  /// The same before the final norm.
  Var forward_blocks(const Var& images, const Tensor& masks = {});
  /// The attention weights of the last block: [B, H, T, T].
  Tensor last_self_attention(const Var& images);
  /// fn(block, weights [B, H, T, T]) for each block in turn. One block's weights are in memory at a time.
  void for_each_self_attention(const Var& images, const std::function<void(int64_t block, const Tensor& weights)>& fn);
  /// The positions for a grid of patches: [1, rows, C]. Throws ConfigError for a model with rotary positions.
  Var positions(ag::Grid grid);

  VitConfig config;
  bool checkpoint_blocks = false;  // recompute: keep each block's input alone and run the block again in the sweep

  std::optional<Param> cls_token, dist_token, reg_token, mask_token;  // [1, 1, C] twice, [1, R, C], [1, C]
  std::optional<Param> pos_embed;                                     // none with rotary positions
  PatchEmbed patch_embed;
  Dropout pos_drop;
  PatchDropout patch_drop;
  std::optional<LayerNorm> norm_pre;
  ModuleList<TransformerBlock> blocks;
  std::unique_ptr<Layer> norm, fc_norm;  // one of them
  std::optional<Linear> head, head_dist;

 private:
  ag::Grid grid_of(const Var& images) const;
  Var embed(const Var& images, const Tensor& masks);
  Places places_of(const Var& images) const;
  Var run_block(size_t i, const Var& x, const Places& places, const Rows& rows = {});
  Tensor weights_of(size_t block, const Var& x, const Places& places);
  Var final_norm(const Var& tokens);
  Tokens split(const Var& tokens, ag::Grid grid) const;
};

/// The model as a vision transformer, or null.
const VisionTransformer* find_vit(const Backbone& model);
/// The model as a vision transformer. Throws ConfigError naming the operation and the model if it is another kind.
VisionTransformer& as_vit(Backbone& model, std::string_view op, std::string_view name);

}  // namespace vitrail::nn
