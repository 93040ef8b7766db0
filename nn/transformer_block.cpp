#include "vitrail/nn/transformer_block.h"

namespace vitrail::nn {
namespace {

std::unique_ptr<SelfAttention> make_attn(const Scope& scope, const BlockConfig& c) {
  if (c.parts.attn) return c.parts.attn(scope, c.attn);
  return std::make_unique<Attention>(scope, c.attn);
}

std::unique_ptr<Layer> make_ffn(const Scope& scope, const BlockConfig& c) {
  if (c.parts.ffn) return c.parts.ffn(scope, c.attn.dim, c.ffn_hidden);
  if (c.ffn == Ffn::swiglu) return std::make_unique<SwiGLU>(scope, c.attn.dim, c.ffn_hidden, c.drop);
  return std::make_unique<Mlp>(scope, c.attn.dim, c.ffn_hidden, c.gelu, c.drop);
}

}  // namespace

std::unique_ptr<Layer> BlockParts::make_norm(const Scope& scope, int64_t dim, double eps) const {
  if (norm) return norm(scope, dim, eps);
  return std::make_unique<LayerNorm>(scope, dim, eps);
}

TransformerBlock::TransformerBlock(const Scope& scope, const BlockConfig& c)
    : Module(scope),
      norm1(c.parts.make_norm(sub("norm1"), c.attn.dim, c.ln_eps)),
      attn(make_attn(sub("attn"), c)),
      norm2(c.parts.make_norm(sub("norm2"), c.attn.dim, c.ln_eps)),
      mlp(make_ffn(sub("mlp"), c)),
      drop_path(sub("drop_path"), c.drop_path, c.drop_path_mode) {
  if (c.layerscale_init != 0) {
    ls1.emplace(sub("ls1"), c.attn.dim, c.layerscale_init);
    ls2.emplace(sub("ls2"), c.attn.dim, c.layerscale_init);
  }
}

Var TransformerBlock::forward(const Var& x, const Rows& rows, const Places& places) {
  const auto scaled = [](std::optional<LayerScale>& ls, const Var& branch) { return ls ? (*ls)(branch) : branch; };
  const auto some = [](const Var& of, const Tensor& samples) {
    return samples.defined() ? index_select(of, 0, samples) : of;
  };
  const Var h = drop_path.add(rows.of(x), [&](const Tensor& samples) {
    return scaled(ls1, (*attn)((*norm1)(some(x, samples)), rows.of_samples(samples), places));
  });
  return drop_path.add(h, [&](const Tensor& samples) { return scaled(ls2, (*mlp)((*norm2)(some(h, samples)))); });
}

}  // namespace vitrail::nn
