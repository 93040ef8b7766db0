// Backbone: what every image model of ours offers, so that recipes take any of them.
#pragma once

#include "vitrail/nn/module.h"

namespace vitrail::nn {

class Backbone : public ModuleBase {
 public:
  using ModuleBase::ModuleBase;

  /// One feature vector an image: [B, in_chans, H, W] -> [B, feature_dim], the input of the head.
  virtual Var features(const Var& images) = 0;
  /// The head on features: [B, feature_dim] -> [B, num_classes]; features themselves if there is no head. With several
  /// heads, the mean of their logits.
  virtual Var classify(const Var& features) = 0;
  /// The logits of each head on features, each [B, num_classes]: one, or the class and the distillation token's of a
  /// distilled transformer.
  virtual std::vector<Var> heads(const Var& features) { return {classify(features)}; }
  virtual int64_t feature_dim() const = 0;
  virtual int64_t num_classes() const = 0;

  /// [B, in_chans, H, W] -> [B, num_classes].
  Var logits(const Var& images) { return classify(features(images)); }
};

}  // namespace vitrail::nn
