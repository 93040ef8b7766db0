#include "vitrail/recipes/build/decoder_section.h"

#include "vitrail/core/error.h"

namespace vitrail::recipes {
namespace {

using ScalingKind = core::RopeScaling::Kind;

constexpr Named<ScalingKind> kScalings[] = {
    {"none", ScalingKind::none}, {"linear", ScalingKind::linear}, {"llama3", ScalingKind::llama3}};

/// The usual width of a SwiGLU: two thirds of four times the width, in whole vectors.
int64_t usual_hidden(int64_t embed_dim) { return (embed_dim * 8 / 3 + 15) / 16 * 16; }

}  // namespace

void DecoderSection::describe(Fields& f) {
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
  f("checkpoint", checkpoint, "recompute blocks in the backward pass instead of storing their activations");
}

nn::LlamaConfig DecoderSection::llama() const {
  check<ConfigError>(embed_dim.has_value() && vocab_size.has_value(), "embed_dim",
                     "the decoder has no size: give embed_dim, or initial weights");
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

void DecoderSection::set(const nn::LlamaConfig& llama) {
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

}  // namespace vitrail::recipes
