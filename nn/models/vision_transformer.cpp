#include "vitrail/nn/models/vision_transformer.h"

#include "vitrail/core/text.h"

#include <cmath>

namespace vitrail::nn {
namespace {

const VitConfig& checked(const VitConfig& c) {
  check<ConfigError>(c.patch_size > 0 && c.img_size > 0 && c.img_size % c.patch_size == 0, "vit",
                     "img_size {} is not a multiple of patch_size {}", c.img_size, c.patch_size);
  check<ConfigError>(c.depth > 0, "vit", "depth is {}; it needs at least one block", c.depth);
  check<ConfigError>(c.class_token || c.pool == Pool::avg, "vit", "pool: token needs class_token: true");
  check<ConfigError>(c.pool == Pool::avg || !c.fc_norm, "vit", "fc_norm: true needs pool: avg");
  check<ConfigError>((c.pool == Pool::avg && !c.fc_norm) || !c.norm_after_pool, "vit",
                     "norm_after_pool: true needs pool: avg and fc_norm: false");
  check<ConfigError>(!c.distilled || (c.class_token && c.pool == Pool::token), "vit",
                     "distilled: true needs class_token: true and pool: token");
  check<ConfigError>(c.window >= 0 && c.global_every >= 0, "vit", "window is {}, global_every is {}; 0 turns them off",
                     c.window, c.global_every);
  check<ConfigError>(c.window > 0 || c.global_every == 0, "vit",
                     "global_every: {} needs windows in the other blocks, such as window: 7", c.global_every);
  const bool rope = c.pos_embed == PosEmbed::rope;
  check<ConfigError>(c.patch_drop_rate == 0 || (c.window == 0 && !rope), "vit",
                     "patch_drop_rate is {}: dropped patches leave no grid, which {} needs", c.patch_drop_rate,
                     rope ? "pos: rope" : "window");
  check<ConfigError>(!rope || c.embed_dim / c.num_heads % 4 == 0, "vit",
                     "pos: rope needs heads whose width is a multiple of 4; embed_dim {} / num_heads {} is {}",
                     c.embed_dim, c.num_heads, c.embed_dim / c.num_heads);
  return c;
}

int64_t position_rows(const VitConfig& c) { return c.prefix_positions() + c.grid_side() * c.grid_side(); }

BlockConfig block_config(const VitConfig& c, int64_t i) {
  BlockConfig block;
  block.attn = {.dim = c.embed_dim,
                .num_heads = c.num_heads,
                .qkv_bias = c.qkv_bias,
                .qk_norm = c.qk_norm,
                .window = c.windowed(i) ? c.window : 0,
                .proj_drop = c.drop_rate};
  block.ffn = c.ffn;
  block.ffn_hidden = c.mlp_hidden;
  if (c.mlp_hidden == 0)
    block.ffn_hidden = c.ffn == Ffn::swiglu ? swiglu_hidden(c.embed_dim, c.mlp_ratio)
                                            : std::llround(c.mlp_ratio * double(c.embed_dim));
  block.gelu = c.gelu;
  block.ln_eps = c.ln_eps;
  block.layerscale_init = c.layerscale_init;
  block.drop = c.drop_rate;
  const double share = c.drop_path_uniform ? 1 : c.depth > 1 ? double(i) / double(c.depth - 1) : 0;
  block.drop_path = c.drop_path_rate * share;
  block.drop_path_mode = c.drop_path_mode;
  block.parts = c.parts;
  return block;
}

/// A token for every image of the batch: [1, R, C] -> [B, R, C].
Var for_each_image(Param& token, int64_t batch) { return expand(token, {batch, token.shape()[1], token.shape()[2]}); }

}  // namespace

VisionTransformer::VisionTransformer(const Scope& scope, const VitConfig& c)
    : Module(scope),
      config(checked(c)),
      patch_embed(sub("patch_embed").at_layer(0), c.patch_size, c.in_chans, c.embed_dim, c.patch_bias && !c.pre_norm),
      pos_drop(sub("pos_drop"), c.drop_rate),
      patch_drop(sub("patch_drop"), c.patch_drop_rate, prefix_tokens()),
      blocks(sub("blocks"), /*first_layer=*/1) {
  const auto token = [&](std::optional<Param>& param, const char* name, int64_t count, const Init& init) {
    param.emplace(sub(name).at_layer(0), Shape{1, count, c.embed_dim}, init, Decay::table);
  };
  if (c.pos_embed != PosEmbed::rope) token(pos_embed, "pos_embed", position_rows(c), init::trunc_normal(0.02));
  if (c.class_token) token(cls_token, "cls_token", 1, init::trunc_normal(0.02));
  if (c.distilled) token(dist_token, "dist_token", 1, init::trunc_normal(0.02));
  if (c.num_registers > 0) token(reg_token, "reg_token", c.num_registers, init::normal(1e-6));
  if (c.mask_token) mask_token.emplace(sub("mask_token").at_layer(0), Shape{1, c.embed_dim}, init::zeros());
  if (c.pre_norm) norm_pre.emplace(sub("norm_pre").at_layer(0), c.embed_dim, c.ln_eps);
  for (int64_t i = 0; i < c.depth; ++i) blocks.add(block_config(c, i));
  (c.fc_norm ? fc_norm : norm) = c.parts.make_norm(sub(c.fc_norm ? "fc_norm" : "norm"), c.embed_dim, c.ln_eps);
  const LinearConfig to_classes{.bias = c.head_bias};
  const int64_t head_dim = c.distilled ? c.embed_dim : feature_dim();
  if (c.num_classes > 0) head.emplace(sub("head"), head_dim, c.num_classes, to_classes);
  if (c.num_classes > 0 && c.distilled) head_dist.emplace(sub("head_dist"), c.embed_dim, c.num_classes, to_classes);
}

Var VisionTransformer::positions(ag::Grid grid) {
  check<ConfigError>(pos_embed.has_value(), "vit", "a model with rotary positions has no table of positions");
  const int64_t side = config.grid_side();
  const ag::Grid trained{side, side};
  if (grid == trained) return *pos_embed;
  const int64_t rows = position_rows(config), prefix = config.prefix_positions();
  const Var table = reshape(slice(*pos_embed, 1, prefix, rows), {side * side, config.embed_dim});
  const Var patches = resample_positions(table, trained, grid, config.pos_interp);
  const Var resampled = reshape(patches, {1, grid.height * grid.width, config.embed_dim});
  return prefix ? ag::concat({slice(*pos_embed, 1, 0, prefix), resampled}, 1) : resampled;
}

ag::Grid VisionTransformer::grid_of(const Var& images) const {
  check<ShapeError>(images.rank() == 4 && images.size(1) == config.in_chans, "vit",
                    "needs images [B, {}, H, W], was given {}", config.in_chans, images.shape());
  return {images.size(2) / config.patch_size, images.size(3) / config.patch_size};
}

Places VisionTransformer::places_of(const Var& images) const {
  Places places{.prefix = prefix_tokens(), .grid = grid_of(images)};
  if (config.pos_embed == PosEmbed::rope)
    places.rope = core::make_rope(places.grid, config.embed_dim / config.num_heads, config.rope_base,
                                  dtype() == DType::f64 ? DType::f64 : DType::f32);
  return places;
}

Var VisionTransformer::embed(const Var& images, const Tensor& masks) {
  const int64_t batch = images.size(0);
  Var x = patch_embed(images);  // [B, N, C]
  if (masks.defined()) {
    check<ConfigError>(mask_token.has_value(), "vit", "masks were given to a model without mask_token: true");
    check<ShapeError>(masks.dtype() == DType::u8 && masks.shape() == x.shape().without(-1), "vit",
                      "masks are {} {}, patches {}; needs masks u8 [B, N]", masks.dtype(), masks.shape(), x.shape());
    x = where(masks.unsqueeze(-1), *mask_token, x);
  }

  const Var pos = pos_embed ? positions(grid_of(images)) : Var();
  if (config.pos_embed == PosEmbed::patches) x = x + pos;
  std::vector<Var> tokens;
  if (cls_token) tokens.push_back(for_each_image(*cls_token, batch));
  if (dist_token) tokens.push_back(for_each_image(*dist_token, batch));
  if (config.pos_embed == PosEmbed::cls_and_patches) {
    tokens.push_back(x);
    x = ag::concat(tokens, 1) + pos;  // [B, 1 + N, C]; distilled: [B, 2 + N, C]
    const int64_t read = config.read_tokens();
    if (reg_token)
      x = ag::concat({slice(x, 1, 0, read), for_each_image(*reg_token, batch), slice(x, 1, read, x.size(1))}, 1);
  } else {
    if (reg_token) tokens.push_back(for_each_image(*reg_token, batch));
    tokens.push_back(x);
    x = ag::concat(tokens, 1);  // [B, T, C]
    if (config.pos_embed == PosEmbed::all_tokens) x = x + pos;
  }
  x = patch_drop(pos_drop(x));
  return norm_pre ? (*norm_pre)(x, x.dtype()) : x;
}

Var VisionTransformer::run_block(size_t i, const Var& x, const Places& places, const Rows& rows) {
  if (!checkpoint_blocks) return blocks[i](x, rows, places);
  return ag::recompute([this, i, rows, places](const Var& input) { return blocks[i](input, rows, places); }, x);
}

Var VisionTransformer::final_norm(const Var& tokens) {
  return norm && !config.norm_after_pool ? (*norm)(tokens) : tokens;
}

Var VisionTransformer::forward_blocks(const Var& images, const Tensor& masks) {
  const Places places = places_of(images);
  Var x = embed(images, masks);
  for (size_t i = 0; i < blocks.size(); ++i) x = run_block(i, x, places);
  return x;
}

Var VisionTransformer::forward_tokens(const Var& images, const Tensor& masks) {
  return final_norm(forward_blocks(images, masks));
}

Tokens VisionTransformer::split(const Var& tokens, ag::Grid grid) const {
  const int64_t prefix = prefix_tokens();
  return {slice(tokens, 1, 0, prefix), slice(tokens, 1, prefix, tokens.size(1)), grid};
}

Tokens VisionTransformer::tokens(const Var& images, const Tensor& masks) {
  const ag::Grid grid = grid_of(images);
  return split(forward_tokens(images, masks), grid);
}

Var VisionTransformer::features(const Var& images, Compute compute) {
  if (config.pool == Pool::token) {
    // Nothing reads the other tokens of the last block and the final norm, so they are not computed. Dropout would draw
    // other numbers for a few tokens than for all.
    const bool all = compute == Compute::all || config.drop_rate > 0;
    const int64_t read = config.read_tokens();
    const Places places = places_of(images);
    Var x = embed(images, {});
    for (size_t i = 0; i + 1 < blocks.size(); ++i) x = run_block(i, x, places);
    x = run_block(blocks.size() - 1, x, places, all ? Rows{} : Rows{.first = read, .places = {}});
    return reshape(final_norm(slice(x, 1, 0, read)), {x.size(0), feature_dim()});
  }
  const Var tokens = forward_tokens(images);
  const Var pooled = mean(slice(tokens, 1, prefix_tokens(), tokens.size(1)), {1});
  if (config.pool == Pool::token_and_avg) return ag::concat({select(tokens, 1, 0), pooled}, 1);
  if (config.norm_after_pool) return (*norm)(pooled);
  return fc_norm ? (*fc_norm)(pooled) : pooled;
}

std::vector<Var> VisionTransformer::heads(const Var& features) {
  if (!head) return {features};
  if (!head_dist) return {(*head)(features, DType::f32)};
  const int64_t dim = config.embed_dim;
  return {(*head)(slice(features, 1, 0, dim), DType::f32), (*head_dist)(slice(features, 1, dim, 2 * dim), DType::f32)};
}

Var VisionTransformer::classify(const Var& features) {
  const std::vector<Var> logits = heads(features);
  return logits.size() == 2 ? 0.5 * (logits[0] + logits[1]) : logits[0];
}

std::vector<Tokens> VisionTransformer::intermediate_tokens(const Var& images, int64_t n, bool normed) {
  check<ConfigError>(n > 0 && n <= config.depth, "vit", "asked for the last {} of {} blocks", n, config.depth);
  const Places places = places_of(images);
  std::vector<Tokens> outputs;
  Var x = embed(images, {});
  for (size_t i = 0; i < blocks.size(); ++i) {
    x = run_block(i, x, places);
    if (int64_t(i) >= config.depth - n) outputs.push_back(split(normed ? final_norm(x) : x, places.grid));
  }
  return outputs;
}

Tensor VisionTransformer::last_self_attention(const Var& images) {
  const ag::NoGrad no_grad;
  const Places places = places_of(images);
  Var x = embed(images, {});
  for (size_t i = 0; i + 1 < blocks.size(); ++i) x = blocks[i](x, Rows{}, places);
  return weights_of(blocks.size() - 1, x, places);
}

void VisionTransformer::for_each_self_attention(const Var& images,
                                                const std::function<void(int64_t block, const Tensor& weights)>& fn) {
  const ag::NoGrad no_grad;
  const Places places = places_of(images);
  Var x = embed(images, {});
  for (size_t i = 0; i < blocks.size(); ++i) {
    fn(int64_t(i), weights_of(i, x, places));
    if (i + 1 < blocks.size()) x = blocks[i](x, Rows{}, places);
  }
}

Tensor VisionTransformer::weights_of(size_t block, const Var& x, const Places& places) {
  TransformerBlock& b = blocks[block];
  return b.attn->weights((*b.norm1)(x), places);
}

const VisionTransformer* find_vit(const Backbone& model) { return dynamic_cast<const VisionTransformer*>(&model); }

VisionTransformer& as_vit(Backbone& model, std::string_view op, std::string_view name) {
  auto* const vit = dynamic_cast<VisionTransformer*>(&model);
  check<ConfigError>(vit != nullptr, op, "{} holds no vision transformer", name);
  return *vit;
}

}  // namespace vitrail::nn
