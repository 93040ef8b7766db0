// Clip: an image tower and a text tower with features in one space.
#pragma once

#include "vitrail/nn/models/text_transformer.h"
#include "vitrail/nn/models/vision_transformer.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::nn {

struct ClipConfig {
  VitConfig vision;                         // num_classes is the width of the common space
  TextConfig text;                          // out_dim is the same width
  double init_logit_scale = 2.65926003693;  // ln(1 / 0.07)
  std::optional<double> init_logit_bias;    // SigLIP: -10
};

/// The published models by open_clip's names: "ViT-B-32", ..., "ViT-bigG-14". The suffix "-quickgelu" selects the
/// activation of OpenAI's weights. Throws ConfigError listing the names for another one.
ClipConfig clip_variant(std::string_view name);
/// The names that clip_variant() accepts.
std::vector<std::string> clip_variants();

/// Features of images and of texts, learned together. Weights start as in OpenAI's code. An image tower without
/// VitConfig::pre_norm starts with its own values instead, except for the projection.
/// Source: Radford et al. 2021 (arXiv:2103.00020). Parameters are named as in VisionTransformer (timm's names);
///         weights/layout.h has the names of OpenAI and open_clip.
struct Clip final : Module<Clip> {
  Clip(const Scope& scope, const ClipConfig& config);

  /// [B, 3, H, W] -> [B, D], not normalised.
  Var encode_image(const Var& images) { return visual(images); }
  /// ids i64 [B, L] -> [B, D], not normalised.
  Var encode_text(const Tensor& ids) { return text(ids); }
  /// Similarities of all pairs: [B, B], a row for each image.
  Var forward(const Var& images, const Tensor& ids, Compute compute = Compute::needed) {
    return logits(visual(images, compute), text(ids, compute));
  }
  /// The same from features, which need not be normalised: see pair_logits().
  Var logits(const Var& image_features, const Var& text_features);

  /// Freezes a tower except for its last groups. The groups are: everything before the blocks; each block, the last one
  /// with the final norm; the projection. Throws ConfigError if the tower has fewer groups.
  /// Source: Zhai et al. 2022 (arXiv:2111.07991); open_clip's --lock-image and --lock-text.
  void lock_image(int64_t unlocked_groups = 0);
  void lock_text(int64_t unlocked_groups = 0);

  /// Keeps the temperature in [1/100, 1], logit_scale in [0, ln 100]. Call it after each update.
  void clamp_logit_scale();

  VisionTransformer visual;
  TextTransformer text;
  Param logit_scale;                // ln of the factor, a scalar
  std::optional<Param> logit_bias;  // a scalar
};

}  // namespace vitrail::nn
