// Dinov2Network: a transformer, DINO's head for its class tokens and iBOT's for its patches. Student and teacher are
// two.
#pragma once

#include "vitrail/nn/models/dino_network.h"

#include <memory>
#include <optional>

namespace vitrail::nn {

/// The parts of DINOv2's student and teacher; names as in its checkpoints: backbone.*, dino_head.*, ibot_head.*.
/// Throws ConfigError for a backbone without patch tokens, a class token or a mask token.
/// Source: Oquab et al. 2023 (arXiv:2304.07193), section 4.
struct Dinov2Network final : Module<Dinov2Network> {
  /// ibot: the head for patches; without it patches share the head of the class tokens.
  Dinov2Network(const Scope& scope, const MakeBackbone& make_backbone, const DinoHeadConfig& dino,
                const std::optional<DinoHeadConfig>& ibot);

  /// The class tokens [B, C] and patch tokens [B, N, C] of images [B, 3, H, W] after the final norm.
  /// masks u8 [B, N] (or undefined): 1 replaces the patch by the mask token.
  struct Features {
    Var classes, patches;
  };
  Features forward(const Var& images, const Tensor& masks = {});

  /// The head for patches.
  DinoHead& patch_head() { return ibot_head ? *ibot_head : dino_head; }

  std::unique_ptr<Backbone> backbone;
  TokenBackbone& tokens;  // the same
  DinoHead dino_head;
  std::optional<DinoHead> ibot_head;
};

}  // namespace vitrail::nn
