#include "vitrail/nn/models/text_transformer.h"

#include <algorithm>
#include <cmath>

namespace vitrail::nn {
namespace {

const TextConfig& checked(const TextConfig& c) {
  check<ConfigError>(c.depth > 0, "text transformer", "depth is {}; it needs at least one block", c.depth);
  return c;
}

BlockConfig block_config(const TextConfig& c) {
  BlockConfig block;
  block.attn = {.dim = c.embed_dim, .num_heads = c.num_heads, .causal = c.causal};
  block.ffn_hidden = std::llround(c.mlp_ratio * double(c.embed_dim));
  block.gelu = c.gelu;
  block.ln_eps = c.ln_eps;
  block.layerscale_init = c.layerscale_init;
  return block;
}

/// The position of the token that each text is read at: i64 [B, 1].
Tensor places_of(TextPool pool, const Tensor& ids) {
  const Tensor dense = ids.contiguous();
  Tensor places = Tensor::empty({ids.size(0), 1}, DType::i64);
  for (int64_t b = 0; b < ids.size(0); ++b) {
    const int64_t* const row = dense.data<int64_t>() + b * ids.size(1);
    const int64_t last = ids.size(1) - 1;
    places.data<int64_t>()[b] = pool == TextPool::first  ? 0
                                : pool == TextPool::last ? last
                                                         : std::max_element(row, row + last + 1) - row;
  }
  return places;
}

}  // namespace

TextTransformer::TextTransformer(const Scope& scope, const TextConfig& c)
    : Module(scope),
      config(checked(c)),
      token_embedding(sub("token_embedding").at_layer(0), c.vocab_size, c.embed_dim),
      pos_embed(sub("pos_embed").at_layer(0), {c.context_length, c.embed_dim}, init::normal(0.01), Decay::table),
      blocks(sub("blocks"), /*first_layer=*/1),
      norm(sub("norm"), c.embed_dim, c.ln_eps),
      proj(sub("proj"), c.embed_dim, c.out_dim, {.bias = false}) {
  for (int64_t i = 0; i < c.depth; ++i) blocks.add(block_config(c));
}

Var TextTransformer::forward(const Tensor& ids, Compute compute) {
  check<ShapeError>(ids.rank() == 2 && ids.dtype() == DType::i64 && ids.numel() > 0, "text transformer",
                    "needs ids i64 [B, L], was given {} {}", ids.dtype(), ids.shape());
  const bool all = compute == Compute::all;
  const Tensor places = places_of(config.pool, ids);
  const auto ends = places.span<int64_t>();
  const int64_t length = all || !config.causal ? ids.size(1) : *std::max_element(ends.begin(), ends.end()) + 1;
  check<ShapeError>(length <= config.context_length, "text transformer", "a text has {} tokens; the context has {}",
                    length, config.context_length);

  Var x = token_embedding(ids.slice(1, 0, length)) + slice(pos_embed, 0, 0, length);  // [B, length, C]
  for (size_t i = 0; i < blocks.size(); ++i) {
    const auto block = [this, i, places, one = !all && i + 1 == blocks.size()](const Var& tokens) {
      return blocks[i](tokens, one ? Rows{.first = {}, .places = places} : Rows{});
    };
    x = checkpoint_blocks ? ag::recompute(block, x) : block(x);
  }
  if (all) x = gather_tokens(x, places);
  return proj(norm(select(x, 1, 0)), DType::f32);  // [B, out_dim]
}

}  // namespace vitrail::nn
