#include "vitrail/nn/models/dino_head.h"

namespace vitrail::nn {

DinoHead::DinoHead(const Scope& scope, int64_t in, const DinoHeadConfig& c)
    : Module(scope), last_layer(sub("last_layer"), c.bottleneck_dim, c.out_dim) {
  check<ConfigError>(c.num_layers >= 1, "dino_head", "num_layers is {}; it needs at least one", c.num_layers);
  for (int64_t i = 0; i < c.num_layers; ++i) {
    // DINO counts the activations and norms between the layers too, and calls a single layer just mlp.
    const int64_t index = (c.use_bn ? 3 : 2) * i;
    const std::string name = c.num_layers == 1 ? "mlp" : "mlp." + std::to_string(index);
    const bool last = i + 1 == c.num_layers;
    mlp.emplace_back(sub(name), i == 0 ? in : c.hidden_dim, last ? c.bottleneck_dim : c.hidden_dim);
    if (c.use_bn && !last) norms.emplace_back(sub("mlp." + std::to_string(index + 1)), c.hidden_dim);
  }
  if (c.norm_last_layer) last_layer.weight_g.set_requires_grad(false);
}

Var DinoHead::forward(const Var& x) {
  Var h = x;
  for (size_t i = 0; i + 1 < mlp.size(); ++i) {
    h = mlp[i](h);
    h = gelu(norms.empty() ? h : norms[i](h));
  }
  return last_layer(l2_normalize(mlp.back()(h, DType::f32)));
}

}  // namespace vitrail::nn
