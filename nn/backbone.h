// Backbone: the interface of image models that recipes use. TokenBackbone: a Backbone made of patch tokens.
#pragma once

#include "vitrail/nn/module.h"

namespace vitrail::nn {

/// The tokens that a forward pass computes in its last block: those that the result reads, or all of them, which is
/// how papers count multiply-accumulates. The result is the same.
enum class Compute { needed, all };

class TokenBackbone;

/// An image model in two parts: features, and a head of one or more classifiers.
class Backbone : public ModuleBase {
 public:
  using ModuleBase::ModuleBase;

  /// One feature vector an image, the input of the head: [B, in_chans, H, W] -> [B, feature_dim].
  virtual Var features(const Var& images, Compute compute = Compute::needed) = 0;
  /// The head on features: [B, feature_dim] -> [B, num_classes]. Without a head, the features themselves; with several
  /// heads, the mean of their logits.
  virtual Var classify(const Var& features) = 0;
  /// The logits of each head on features, each [B, num_classes]: a distilled transformer has two, for the class token
  /// and the distillation token.
  virtual std::vector<Var> heads(const Var& features) { return {classify(features)}; }
  /// The width of features() and the number of classes; 0 classes without a head.
  virtual int64_t feature_dim() const = 0;
  virtual int64_t num_classes() const = 0;
  /// The sides of an image must be multiples of this; 1 for a convolutional network.
  virtual int64_t patch_size() const { return 1; }

  /// [B, in_chans, H, W] -> [B, num_classes].
  Var logits(const Var& images, Compute compute = Compute::needed) { return classify(features(images, compute)); }

  /// The model as one of patch tokens, or null.
  virtual TokenBackbone* token_backbone() { return nullptr; }
};

/// The tokens of B images after the final norm.
struct Tokens {
  Var prefix;     // [B, P, C]: class token, distillation token, registers; P is 0 for a model without them
  Var patches;    // [B, N, C], row by row
  ag::Grid grid;  // N = height * width
};

/// A backbone whose features are made from prefix tokens and one token for each patch.
class TokenBackbone : public Backbone {
 public:
  using Backbone::Backbone;

  /// masks u8 [B, N] (or undefined): 1 replaces the patch by the mask token.
  /// Throws ConfigError for masks if the model has no mask token.
  virtual Tokens tokens(const Var& images, const Tensor& masks = {}) = 0;
  /// The outputs of the last n blocks, oldest first, each after the final norm unless normed is false.
  /// Throws ConfigError if the model has fewer blocks.
  virtual std::vector<Tokens> intermediate_tokens(const Var& images, int64_t n, bool normed = true) = 0;
  /// The number of blocks.
  virtual int64_t depth() const = 0;
  /// Whether the first prefix token is a class token.
  virtual bool has_class_token() const = 0;
  /// The number of prefix tokens.
  virtual int64_t prefix_tokens() const = 0;

  TokenBackbone* token_backbone() final { return this; }
};

}  // namespace vitrail::nn
