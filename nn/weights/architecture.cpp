#include "vitrail/nn/weights/architecture.h"

#include <cmath>

namespace vitrail::nn {
namespace {

/// The weights of one model, or of the tower whose names begin with prefix.
struct Shapes {
  const TensorMap& weights;
  const Layout& layout;
  const std::string& source;
  std::string prefix = "";

  bool has(const std::string& name) const { return weights.contains(prefix + name); }
  std::string theirs(const std::string& name) const { return name_in_layout(layout, prefix + name); }
  /// Throws IoError unless the weight exists with this rank and no empty axis.
  const Shape& of(const std::string& name, int rank) const {
    const auto found = weights.find(prefix + name);
    check<IoError>(found != weights.end(), "load", "{}: a model of {} needs '{}'", source, layout.title, theirs(name));
    const Shape& shape = found->second.shape();
    check<IoError>(shape.rank() == rank && shape.numel() > 0, "load",
                   "{}: '{}' is {}; it must have {} axes, none empty", source, theirs(name), shape, rank);
    return shape;
  }
  int64_t depth() const {
    int64_t n = 0;
    while (has("blocks." + std::to_string(n) + ".norm1.weight")) ++n;
    check<IoError>(n > 0, "load", "{}: a model of {} needs '{}'", source, layout.title,
                   theirs("blocks.0.norm1.weight"));
    return n;
  }
  /// Heads are 64 wide in almost all published models; the exceptions have 16.
  int64_t heads(int64_t width) const {
    constexpr int64_t kHeadDim = 64;
    constexpr std::pair<int64_t, int64_t> kOthers[] = {{1280, 16}, {1408, 16}, {1664, 16}};
    if (prefix != "text.")
      for (const auto& [dim, count] : kOthers)
        if (dim == width) return count;
    check<IoError>(width % kHeadDim == 0, "load",
                   "{}: the weights do not say how many heads a width of {} has; it must be given", source, width);
    return width / kHeadDim;
  }
};

/// Sets the pooling that a configuration states. Throws IoError if the weights are those of another one.
void set_pool(VitConfig& c, Pool pool, const std::string& source) {
  check<IoError>(pool == Pool::avg || (c.class_token && !c.fc_norm), "load",
                 "{}: the configuration pools by the class token, but the weights {}", source,
                 c.class_token ? "have a norm after the mean of the patches (fc_norm)" : "have none");
  c.pool = pool;
}

/// The parts that a vision transformer and CLIP's image tower share.
VitConfig vision_config(const Shapes& w, const Unwritten& unwritten) {
  VitConfig c;
  const Shape& patches = w.of("patch_embed.proj.weight", 4);  // [C, in, P, P]
  check<IoError>(patches[2] == patches[3], "load", "{}: '{}' is {}; patches must be square", w.source,
                 w.theirs("patch_embed.proj.weight"), patches);
  c.embed_dim = patches[0];
  c.in_chans = patches[1];
  c.patch_size = patches[2];
  c.depth = w.depth();
  c.num_heads = unwritten.num_heads ? *unwritten.num_heads : w.heads(c.embed_dim);
  c.mlp_hidden = w.of("blocks.0.mlp.fc2.weight", 2)[1];
  c.mlp_ratio = double(c.mlp_hidden) / double(c.embed_dim);
  if (w.of("blocks.0.mlp.fc1.weight", 2)[0] == 2 * c.mlp_hidden) c.ffn = Ffn::swiglu;
  c.qkv_bias = w.has("blocks.0.attn.qkv.bias");
  c.qk_norm = w.has("blocks.0.attn.q_norm.weight");
  c.layerscale_init = w.has("blocks.0.ls1.gamma") ? 1 : 0;  // any value: the weights replace it
  c.ln_eps = unwritten.ln_eps.value_or(w.layout.ln_eps);
  c.gelu = unwritten.gelu.value_or(w.layout.gelu);

  c.class_token = w.has("cls_token");
  c.distilled = w.has("dist_token");
  if (w.has("reg_token")) c.num_registers = w.of("reg_token", 3)[1];
  c.pos_interp = unwritten.pos_interp.value_or(position_rule(w.layout, c.num_registers > 0));
  c.mask_token = w.has("mask_token");
  c.pre_norm = w.has("norm_pre.weight");
  if (w.layout.family == Family::clip) c.patch_bias = w.has("patch_embed.proj.bias");  // elsewhere it is never absent
  c.fc_norm = w.has("fc_norm.weight");

  const int64_t read = (c.class_token ? 1 : 0) + (c.distilled ? 1 : 0);
  const Shape& rows = w.of("pos_embed", 3);
  const auto table = position_table(w.weights.at(w.prefix + "pos_embed"), read, c.num_registers);
  check<IoError>(table.has_value(), "load", "{}: '{}' is {}; without its {} tokens in front that is no square grid",
                 w.source, w.theirs("pos_embed"), rows, read + c.num_registers);
  c.pos_embed = table->kind;
  c.img_size = table->side * c.patch_size;

  c.num_classes = w.has("head.weight") ? w.of("head.weight", 2)[0] : 0;
  c.head_bias = w.has("head.bias") || c.num_classes == 0;
  if (c.fc_norm || !c.class_token) c.pool = Pool::avg;
  if (c.num_classes > 0 && !c.distilled && c.pool == Pool::token && w.of("head.weight", 2)[1] == 2 * c.embed_dim)
    c.pool = Pool::token_and_avg;
  if (unwritten.pool) set_pool(c, *unwritten.pool, w.source);
  c.norm_after_pool = c.pool == Pool::avg && unwritten.norm_after_pool.value_or(false);
  return c;
}

}  // namespace

Unwritten Unwritten::or_else(const Unwritten& other) const {
  Unwritten result = *this;
  const auto fill = [](auto& field, const auto& otherwise) {
    if (!field) field = otherwise;
  };
  fill(result.num_heads, other.num_heads);
  fill(result.text_num_heads, other.text_num_heads);
  fill(result.ln_eps, other.ln_eps);
  fill(result.text_ln_eps, other.text_ln_eps);
  fill(result.gelu, other.gelu);
  fill(result.text_gelu, other.text_gelu);
  fill(result.pos_interp, other.pos_interp);
  fill(result.pool, other.pool);
  fill(result.norm_after_pool, other.norm_after_pool);
  fill(result.causal, other.causal);
  fill(result.text_pool, other.text_pool);
  return result;
}

std::optional<PositionTable> position_table(const Tensor& table, int64_t read, int64_t registers) {
  const int64_t rows = table.rank() == 3 ? table.size(1) : 0;
  const PositionTable kinds[] = {
      {PosEmbed::cls_and_patches, read, 0}, {PosEmbed::all_tokens, read + registers, 0}, {PosEmbed::patches, 0, 0}};
  for (PositionTable t : kinds) {
    t.side = std::llround(std::sqrt(double(std::max<int64_t>(rows - t.prefix, 0))));
    if (t.side > 0 && t.side * t.side == rows - t.prefix) return t;
  }
  return std::nullopt;
}

ag::PosInterp position_rule(const Layout& layout, bool has_registers) {
  const bool dinov2 = layout.name == "dinov2" || layout.name == "hf_dinov2";
  return dinov2 && has_registers ? ag::PosInterp::size_antialias : layout.pos_interp;
}

VitConfig vit_config(const TensorMap& weights, const Layout& layout, const std::string& source,
                     const Unwritten& unwritten) {
  return vision_config({weights, layout, source}, unwritten);
}

ClipConfig clip_config(const TensorMap& weights, const Layout& layout, const std::string& source,
                       const Unwritten& unwritten) {
  ClipConfig c;
  c.vision = vision_config({weights, layout, source, "visual."}, unwritten);
  const Shapes w{weights, layout, source, "text."};
  const Shape& words = w.of("token_embedding.weight", 2);
  c.text.vocab_size = words[0];
  c.text.embed_dim = words[1];
  c.text.context_length = w.of("pos_embed", 2)[0];
  c.text.depth = w.depth();
  c.text.num_heads = unwritten.text_num_heads ? *unwritten.text_num_heads : w.heads(c.text.embed_dim);
  c.text.out_dim = w.of("proj.weight", 2)[0];
  c.text.mlp_ratio = double(w.of("blocks.0.mlp.fc1.weight", 2)[0]) / double(c.text.embed_dim);
  c.text.gelu = unwritten.text_gelu.value_or(c.vision.gelu);
  c.text.ln_eps = unwritten.text_ln_eps.value_or(c.vision.ln_eps);
  c.text.causal = unwritten.causal.value_or(true);
  c.text.pool = unwritten.text_pool.value_or(TextPool::argmax);
  c.text.layerscale_init = w.has("blocks.0.ls1.gamma") ? 1 : 0;
  if (weights.contains("logit_bias")) c.init_logit_bias = 0;
  check<IoError>(c.vision.num_classes == c.text.out_dim, "load",
                 "{}: '{}' gives {} numbers, '{}' {}; they must be as many", source,
                 name_in_layout(layout, "visual.head.weight"), c.vision.num_classes, w.theirs("proj.weight"),
                 c.text.out_dim);
  return c;
}

}  // namespace vitrail::nn
