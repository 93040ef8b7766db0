#include "vitrail/recipes/build/build_llava.h"

#include "vitrail/core/error.h"

namespace vitrail::recipes {
namespace {

using nn::FeatureSelect;
using nn::VisionTower;
using ScalingKind = core::RopeScaling::Kind;

constexpr Named<VisionTower> kTowers[] = {{"vit", VisionTower::vit}, {"patches", VisionTower::patches}};
constexpr Named<FeatureSelect> kFeatureSelects[] = {{"patch", FeatureSelect::patch}, {"full", FeatureSelect::full}};
constexpr Named<ScalingKind> kScalings[] = {
    {"none", ScalingKind::none}, {"linear", ScalingKind::linear}, {"llama3", ScalingKind::llama3}};

/// The usual width of a SwiGLU: two thirds of four times the width, in whole vectors.
int64_t usual_hidden(int64_t embed_dim) { return (embed_dim * 8 / 3 + 15) / 16 * 16; }

}  // namespace

void LlavaModelConfig::Tower::describe(Fields& f) {
  f("init", init, "initial weights of the tower: safetensors, folder of a published model (also of a CLIP), or a run",
    is_path());
  f("kind", kind, "vit: a vision transformer; patches: early fusion, each patch of the image is embedded by one layer",
    kTowers);
  vit.describe(f);
  f("feature_layer", feature_layer,
    "block whose output is read, -1 for the last one, -2 for LLaVA's; several: their outputs side by side",
    one_or_more());
  f("feature_norm", feature_norm, "the tower's final norm on what is read; for towers that are trained here");
  f("select", select, "patch: the tokens of patches; full: class token and registers too", kFeatureSelects);
  f("pixel_shuffle", pixel_shuffle, "so many by so many patches become one wider token, as in Idefics3", at_least(1));
  f("prefix", prefix, "all tokens up to the end of the image see each other; false: each sees those before it");
}

void LlavaModelConfig::Projector::describe(Fields& f) {
  f("depth", depth, "linear layers from the tower to the decoder, with GELU between them; early fusion has none",
    at_least(1));
  f("bias", bias, "whether they have biases");
}

void LlavaModelConfig::Decoder::describe(Fields& f) {
  f("init", init, "initial weights: folder of a Llama or Qwen2, or file of llama2.c", is_path());
  f("tokenizer", tokenizer, "tokenizer.json, tokenizer.model, tokenizer.bin, or a folder with one; empty: beside init",
    is_path());
  f("vocab_size", vocab_size, "rows of the table of words; null: of init, or as many as the tokenizer has",
    at_least(1));
  f("embed_dim", embed_dim, "width; null: this and all other sizes are those of init", at_least(1));
  f("hidden_dim", hidden_dim, "width of the feed-forward; 0: 8/3 of embed_dim", at_least(0));
  f("depth", depth, "blocks", at_least(1));
  f("num_heads", num_heads, "attention heads", at_least(1));
  f("num_kv_heads", num_kv_heads, "heads of keys and values, which groups of heads share; 0: num_heads", at_least(0));
  f("head_dim", head_dim, "width of a head; 0: embed_dim / num_heads", at_least(0));
  f("rms_eps", rms_eps, "epsilon of the norms", positive());
  f("rope_theta", rope_theta, "base of the rotary positions", positive());
  f.section("rope_scaling", [&] {
    f("kind", rope_scaling.kind, "how positions are stretched for texts longer than those of the first training",
      kScalings);
    f("factor", rope_scaling.factor, "by which low frequencies are divided", positive());
    f("low_freq_factor", rope_scaling.low_freq_factor, "llama3: turns in original_context below which one is low",
      positive());
    f("high_freq_factor", rope_scaling.high_freq_factor, "llama3: turns above which one stays as it is", positive());
    f("original_context", rope_scaling.original_context, "llama3: tokens of the first training", at_least(1));
  });
  f("qkv_bias", qkv_bias, "biases of queries, keys and values, as Qwen2 has them");
  f("tied", tied, "the table of words also gives the logits");
  f("context_length", context_length, "most tokens of a conversation, its image among them", at_least(1));
  f("checkpoint", checkpoint, "recompute blocks in the backward pass instead of storing their activations");
}

nn::LlamaConfig LlavaModelConfig::Decoder::llama() const {
  check<ConfigError>(embed_dim.has_value() && vocab_size.has_value(), "decoder",
                     "has no size: decoder.init=FOLDER takes a language model, decoder.embed_dim=192 with "
                     "decoder.tokenizer=FILE begins a new one");
  const int64_t width = *embed_dim;
  return {.vocab_size = *vocab_size,
          .embed_dim = width,
          .hidden_dim = hidden_dim > 0 ? hidden_dim : usual_hidden(width),
          .depth = depth,
          .num_heads = num_heads,
          .num_kv_heads = num_kv_heads > 0 ? num_kv_heads : num_heads,
          .head_dim = head_dim,
          .rms_eps = rms_eps,
          .rope_theta = rope_theta,
          .rope_scaling = rope_scaling,
          .qkv_bias = qkv_bias,
          .tied = tied,
          .context_length = context_length};
}

void LlavaModelConfig::Decoder::set(const nn::LlamaConfig& llama) {
  vocab_size = llama.vocab_size;
  embed_dim = llama.embed_dim;
  hidden_dim = llama.hidden_dim;
  depth = llama.depth;
  num_heads = llama.num_heads;
  num_kv_heads = llama.num_kv_heads;
  head_dim = llama.head_dim;
  rms_eps = llama.rms_eps;
  rope_theta = llama.rope_theta;
  rope_scaling = llama.rope_scaling;
  qkv_bias = llama.qkv_bias;
  tied = llama.tied;
  context_length = llama.context_length;
}

void LlavaModelConfig::describe(Fields& f) {
  f("tower", tower);
  f("projector", projector);
  f("decoder", decoder);
}

nn::VitConfig whole_tower(const LlavaModelConfig& config, int64_t img_size) {
  check<ConfigError>(config.tower.kind == VisionTower::vit, "tower.kind", "patches: there is no tower");
  check<ConfigError>(config.tower.vit.arch != kFromInit, "tower.arch",
                     "from_init: tower.init=RUN or FOLDER takes a tower; tower.arch=vit_tiny begins a new one");
  return vit_config(config.tower.vit, img_size, 0);
}

nn::LlavaConfig llava_config(const LlavaModelConfig& config, int64_t img_size) {
  const LlavaModelConfig::Tower& t = config.tower;
  nn::LlavaConfig llava;
  llava.tower = t.kind;
  llava.text = config.decoder.llama();
  llava.feature_layers = t.feature_layer;
  llava.feature_norm = t.feature_norm;
  llava.select = t.select;
  llava.pixel_shuffle = t.pixel_shuffle;
  llava.prefix = t.prefix;
  llava.projector = {.depth = config.projector.depth, .bias = config.projector.bias};
  if (t.kind == VisionTower::patches) {
    llava.vision.img_size = img_size;
    llava.vision.patch_size = t.vit.patch_size.value_or(llava.vision.patch_size);
    llava.projector.depth = 0;
    return llava;
  }
  llava.vision = whole_tower(config, img_size);
  return llava.without_unread_blocks();
}

}  // namespace vitrail::recipes
