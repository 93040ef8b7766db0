// VitConfig: the options of a VisionTransformer, enough for ViT, DeiT, DINO, DINOv2 and timm's models.
#pragma once

#include "vitrail/nn/transformer_block.h"

#include <string>
#include <string_view>
#include <vector>

namespace vitrail::nn {

/// Which tokens the table of positions has rows for.
enum class PosEmbed {
  cls_and_patches,  // DINO, DeiT, DINOv2: [1, 1 + N, C] (distilled: 2 + N); registers come in later and have none
  patches,          // DeiT III, timm's no_embed_class: [1, N, C]
  all_tokens,       // timm's default with registers: [1, 1 + R + N, C] (distilled: 2 + R + N)
  rope,             // DINOv3: no table; the attention rotates queries and keys of patches
};
/// The input of the heads: the class token, the mean of the patch tokens, or both side by side (DINOv2's classifiers).
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
  bool mask_token = false;  // DINOv2, iBOT: a learned token that replaces masked patches
  PosEmbed pos_embed = PosEmbed::cls_and_patches;
  ag::PosInterp pos_interp = ag::PosInterp::size_antialias;  // for images of another size
  double rope_base = 100;                                    // periods of rotary positions, see core::make_rope
  int64_t window = 0;        // side of the windows that patches see, in patches; 0: global attention in all blocks
  int64_t global_every = 0;  // with windows: every so many blocks, the last of them has global attention; 0: none has
  bool pre_norm = false;     // CLIP: LayerNorm before the blocks, patch embedding without bias
  bool patch_bias = true;    // of the patch embedding; with pre_norm it never has one
  Pool pool = Pool::token;
  bool fc_norm = false;          // timm's average pooling: a norm after the mean instead of the norm on tokens
  bool norm_after_pool = false;  // open_clip's average pooling: the norm on tokens is applied to their mean
  double layerscale_init = 0;    // 0: no LayerScale
  double drop_rate = 0;          // dropout after the positions and in the blocks
  double patch_drop_rate = 0;    // patches left out in training
  bool head_bias = true;         // CLIP's projection has none
  double drop_path_rate = 0;
  bool drop_path_uniform = false;  // the rate in every block; else it rises linearly from 0 in the first block
  DropPathMode drop_path_mode = DropPathMode::mask;
  BlockParts parts = {};  // layers of one's own in the blocks, and the norm after them

  /// Whether block i has windows. With global_every: 3, blocks 2, 5, 8, ... have none.
  bool windowed(int64_t i) const { return window > 0 && (global_every == 0 || (i + 1) % global_every != 0); }
  /// Patches along a side of the image.
  int64_t grid_side() const { return img_size / patch_size; }
  /// Tokens that heads read: class and distillation token.
  int64_t read_tokens() const { return (class_token ? 1 : 0) + (distilled ? 1 : 0); }
  /// Rows of the position table that come before the rows of the patches.
  int64_t prefix_positions() const;
};

/// The published sizes vit_tiny, vit_small, vit_base, vit_large and vit_huge, which DeiT and DINO share.
/// Throws ConfigError listing the names for another one.
VitConfig vit_variant(std::string_view name);
/// The names that vit_variant() accepts.
std::vector<std::string> vit_variants();

}  // namespace vitrail::nn
