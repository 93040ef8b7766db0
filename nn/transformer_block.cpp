#include "vitrail/nn/transformer_block.h"

namespace vitrail::nn {

TransformerBlock::TransformerBlock(const Scope& scope, const BlockConfig& c)
    : Module(scope),
      norm1(sub("norm1"), c.attn.dim, c.ln_eps),
      attn(sub("attn"), c.attn),
      norm2(sub("norm2"), c.attn.dim, c.ln_eps),
      drop_path(sub("drop_path"), c.drop_path) {
  if (c.ffn == Ffn::mlp) mlp.emplace(sub("mlp"), c.attn.dim, c.ffn_hidden, c.gelu, c.drop);
  if (c.ffn == Ffn::swiglu) swiglu.emplace(sub("mlp"), c.attn.dim, c.ffn_hidden, c.drop);
  if (c.layerscale_init != 0) {
    ls1.emplace(sub("ls1"), c.attn.dim, c.layerscale_init);
    ls2.emplace(sub("ls2"), c.attn.dim, c.layerscale_init);
  }
}

/// attended: what attention makes of the tokens x.
Var TransformerBlock::add_branches(const Var& x, const Var& attended) {
  const auto scaled = [](std::optional<LayerScale>& ls, const Var& branch) { return ls ? (*ls)(branch) : branch; };
  const Var h = x + drop_path(scaled(ls1, attended));
  const Var y = norm2(h);
  return h + drop_path(scaled(ls2, mlp ? (*mlp)(y) : (*swiglu)(y)));
}

Var TransformerBlock::forward(const Var& x, std::optional<int64_t> first) {
  return add_branches(first ? slice(x, 1, 0, *first) : x, attn(norm1(x), first));
}

Var TransformerBlock::forward(const Var& x, const Tensor& places) {
  return add_branches(gather_tokens(x, places), attn(norm1(x), places));
}

}  // namespace vitrail::nn
