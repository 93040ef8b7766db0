// Llava: a language model that sees. The features of an image stand in its sequence like words.
#pragma once

#include "vitrail/nn/models/llama.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/projector.h"
#include "vitrail/nn/splice.h"

namespace vitrail::nn {

/// What looks at an image: a vision transformer, or nothing but the embedding of its patches (early fusion).
enum class VisionTower { vit, patches };
/// The tokens of the tower that are features: its patches, or its prefix tokens too (LLaVA's cls_patch).
enum class FeatureSelect { patch, full };

/// The defaults are those of LLaVA 1.5 7B, but for its tower.
struct LlavaConfig {
  VisionTower tower = VisionTower::vit;
  VitConfig vision = {};  // without a head; for VisionTower::patches img_size, patch_size and in_chans alone count
  LlamaConfig text = {};
  /// The blocks of the tower whose outputs are features, side by side: -1 is the last one, 1 the first.
  std::vector<int64_t> feature_layers = {-2};
  bool feature_norm = false;  // the tower's final norm on each of them
  FeatureSelect select = FeatureSelect::patch;
  int64_t pixel_shuffle = 1;  // Idefics3: the patches of a square of that side become one feature
  ProjectorConfig projector = {};
  bool prefix = false;  // the tokens up to the end of the first image see each other; else each sees those before it

  /// The tokens that an image becomes, and the width of the tower's features.
  int64_t image_tokens() const;
  int64_t feature_dim() const;
  /// The same model without the blocks of the tower that no feature needs.
  LlavaConfig without_unread_blocks() const;
};

/// Image -> tower -> projector -> decoder, whose sequence has words and images.
///
/// Early fusion has no tower: each patch is embedded by one linear layer, and a learned token ends each row of patches.
/// Dtype:  projector and decoder in bf16 (Scope::frozen) compute under Autocast(bf16). The tower keeps f32 weights.
/// Source: Liu et al. 2023 (arXiv:2304.08485, arXiv:2310.03744); Idefics3: Laurençon et al. 2024 (arXiv:2408.12637);
///         early fusion: the sequence of Fuyu-8B. Parameters are named as in VisionTransformer, Projector and Llama.
struct Llava final : Module<Llava> {
  /// Throws ConfigError for a layer that the tower does not have, or for sizes that do not fit each other.
  Llava(const Scope& scope, const LlavaConfig& config);

  /// The selected features: [M, in_chans, H, W] -> [M, N, feature_dim]. Pixels on the right and at the bottom that fill
  /// no patch are not read. Nothing is recorded for a frozen tower, so the features may be computed once and kept.
  Var features(const Var& pixels);
  /// The same in the space of words: [M, N, feature_dim] -> [M, N, C], f32.
  Var project(const Var& features) { return projector(features); }

  /// A batch as this model reads it. See nn::splice.
  Splice splice(std::span<const LabelledText> texts, int64_t max_length = 0, PadSide pad_side = PadSide::right) const;
  /// The batch as embeddings [B, T, C]. images: of project(), M = batch.images; undefined if there are none.
  /// Throws ShapeError naming both numbers if there are other images, or other tokens of each.
  Var embed(const Splice& batch, const Var& images);
  /// The decoder's output for embed(), after its final norm: [B, T, C].
  Var hidden(const Splice& batch, const Var& images, KvCache* cache = nullptr);
  /// Mean cross entropy of the labels: a scalar. Logits are computed for the tokens that have one.
  /// Throws ShapeError as embed(), and if no token has a label.
  Var loss(const Splice& batch, const Var& images);
  /// Logits of all tokens, from pixels [M, in_chans, H, W]: [B, T, V].
  Var forward(const Splice& batch, const Var& pixels);
  /// What the decoder is told of the batch besides its embeddings: padding on the left, and the prefix.
  /// Throws ShapeError with config.prefix if the first images do not end at the same token.
  LlamaInput decoder_input(const Splice& batch) const;

  LlavaConfig config;
  std::optional<VisionTransformer> vision_tower;  // one of the two
  std::optional<PatchEmbed> patch_embed;
  std::optional<Param> row_end;  // early fusion: [1, 1, C], after each row of patches
  Projector projector;
  Llama language_model;
};

}  // namespace vitrail::nn
