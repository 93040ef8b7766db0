#include "vitrail/nn/models/dinov2_network.h"

#include "vitrail/core/error.h"

namespace vitrail::nn {
namespace {

TokenBackbone& token_backbone_of(Backbone& model) {
  TokenBackbone* tokens = model.token_backbone();
  check<ConfigError>(tokens && tokens->has_class_token(), "dinov2",
                     "the backbone needs patch tokens and a class token: a vision transformer");
  return *tokens;
}

}  // namespace

Dinov2Network::Dinov2Network(const Scope& scope, const MakeBackbone& make_backbone, const DinoHeadConfig& dino,
                             const std::optional<DinoHeadConfig>& ibot)
    : Module(scope),
      backbone(make_backbone(sub("backbone"))),
      tokens(token_backbone_of(*backbone)),
      dino_head(sub("dino_head"), backbone->feature_dim(), dino) {
  if (ibot) ibot_head.emplace(sub("ibot_head"), backbone->feature_dim(), *ibot);
}

Dinov2Network::Features Dinov2Network::forward(const Var& images, const Tensor& masks) {
  const Tokens t = tokens.tokens(images, masks);
  return {select(t.prefix, 1, 0), t.patches};
}

}  // namespace vitrail::nn
