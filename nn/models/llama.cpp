#include "vitrail/nn/models/llama.h"

#include "vitrail/core/ops/shape.h"

#include <cmath>

namespace vitrail::nn {
namespace {

LlamaConfig checked_llama(LlamaConfig c) {
  check<ConfigError>(c.vocab_size > 0 && c.embed_dim > 0 && c.hidden_dim > 0 && c.depth > 0 && c.context_length > 0,
                     "llama",
                     "vocab_size {}, embed_dim {}, hidden_dim {}, depth {}, context_length {}: all must be positive",
                     c.vocab_size, c.embed_dim, c.hidden_dim, c.depth, c.context_length);
  check<ConfigError>(c.num_heads > 0 && c.num_kv_heads > 0 && c.num_heads % c.num_kv_heads == 0, "llama",
                     "num_heads {} is not a multiple of num_kv_heads {}", c.num_heads, c.num_kv_heads);
  if (c.head_dim == 0) {
    check<ConfigError>(c.embed_dim % c.num_heads == 0, "llama", "embed_dim {} is not a multiple of num_heads {}",
                       c.embed_dim, c.num_heads);
    c.head_dim = c.embed_dim / c.num_heads;
  }
  check<ConfigError>(c.head_dim > 0 && c.head_dim % 2 == 0, "llama",
                     "head_dim is {}; rotary positions need an even one", c.head_dim);
  return c;
}

/// The place of a norm: its weights stay f32 beside matrices in bf16.
Scope norm_scope(const Scope& scope) { return scope.dtype() == DType::bf16 ? scope.frozen(DType::f32) : scope; }

LinearConfig matrix(bool bias = false) { return {.bias = bias, .weight_init = init::normal(0.02)}; }

/// The rows that mark padding of earlier tokens and of these: u8 [B, first + T], or undefined if there is none.
Tensor joined_mask(const Tensor& earlier, const Tensor& mask, int64_t batch, int64_t first, int64_t tokens) {
  check<ShapeError>(!mask.defined() || (mask.dtype() == DType::u8 && mask.shape() == Shape{batch, tokens}), "llama",
                    "mask is {}; needs u8 [{}, {}], 0 for padding",
                    mask.defined() ? to_string(mask.dtype()) + " " + to_string(mask.shape()) : "undefined", batch,
                    tokens);
  if (!earlier.defined() && !mask.defined()) return {};
  if (first == 0) return mask;
  const auto or_ones = [batch](const Tensor& t, int64_t n) { return t.defined() ? t : ones({batch, n}, DType::u8); };
  return core::concat({or_ones(earlier, first), or_ones(mask, tokens)}, 1);
}

/// Positions i64 [B * T] of the last T tokens of each sample: the tokens before them that are not padding.
Tensor token_positions(int64_t batch, int64_t first, int64_t tokens, const Tensor& mask) {
  Tensor positions = Tensor::empty({batch * tokens}, DType::i64);
  const Tensor dense = mask.defined() ? mask.contiguous() : mask;
  for (int64_t b = 0; b < batch; ++b) {
    int64_t position = 0;
    for (int64_t i = 0; i < first + tokens; ++i) {
      if (i >= first) positions.data<int64_t>()[b * tokens + i - first] = position;
      position += dense.defined() ? int64_t(dense.data<uint8_t>()[b * (first + tokens) + i] != 0) : 1;
    }
  }
  return positions;
}

}  // namespace

LlamaAttention::LlamaAttention(const Scope& scope, const LlamaConfig& c)
    : Module(scope),
      q_proj(sub("q_proj"), c.embed_dim, c.num_heads * c.head_dim, matrix(c.qkv_bias)),
      k_proj(sub("k_proj"), c.embed_dim, c.num_kv_heads * c.head_dim, matrix(c.qkv_bias)),
      v_proj(sub("v_proj"), c.embed_dim, c.num_kv_heads * c.head_dim, matrix(c.qkv_bias)),
      o_proj(sub("o_proj"), c.num_heads * c.head_dim, c.embed_dim, matrix()),
      head_dim(c.head_dim) {}

Var LlamaAttention::forward(const Var& x, const LlamaPlaces& places, KvCache* cache, size_t layer) {
  const int64_t batch = x.size(0), tokens = x.size(1);
  const auto heads = [&](const Var& y) {
    return transpose(reshape(y, {batch, tokens, -1, head_dim}), 1, 2);  // [B, H, T, D]
  };
  // Samples with padding have positions of their own, so the tokens of all samples turn as those of one.
  const auto rotated = [&](const Var& y) {
    const Var row = transpose(reshape(y, {1, batch * tokens, -1, head_dim}), 1, 2);  // [1, H, B * T, D]
    return transpose(reshape(rotate(row, places.rope), {-1, batch, tokens, head_dim}), 0, 1);
  };
  const Var q = rotated(q_proj(x));
  Var k = rotated(k_proj(x)), v = heads(v_proj(x));  // [B, H / G, T, D]
  if (cache) {
    check<TapeError>(!k.requires_grad() && !v.requires_grad(), "kv cache",
                     "no gradient flows through a cache; train without one, or generate under NoGrad");
    const KvCache::KeysValues all = cache->append(layer, k.value(), v.value());
    k = all.keys, v = all.values;  // [B, H / G, N, D]
  }
  return o_proj(attention(q, k, v, places.options), DType::f32);
}

LlamaMlp::LlamaMlp(const Scope& scope, const LlamaConfig& c)
    : Module(scope),
      gate_proj(sub("gate_proj"), c.embed_dim, c.hidden_dim, matrix()),
      up_proj(sub("up_proj"), c.embed_dim, c.hidden_dim, matrix()),
      down_proj(sub("down_proj"), c.hidden_dim, c.embed_dim, matrix()) {}

Var LlamaMlp::forward(const Var& x) { return down_proj(silu(gate_proj(x)) * up_proj(x), DType::f32); }

LlamaBlock::LlamaBlock(const Scope& scope, const LlamaConfig& c)
    : Module(scope),
      input_layernorm(norm_scope(sub("input_layernorm")), c.embed_dim, c.rms_eps),
      self_attn(sub("self_attn"), c),
      post_attention_layernorm(norm_scope(sub("post_attention_layernorm")), c.embed_dim, c.rms_eps),
      mlp(sub("mlp"), c) {}

Var LlamaBlock::forward(const Var& x, const LlamaPlaces& places, KvCache* cache, size_t layer) {
  const Var h = x + self_attn(input_layernorm(x), places, cache, layer);
  return h + mlp(post_attention_layernorm(h));
}

Llama::Llama(const Scope& scope, const LlamaConfig& c)
    : Module(scope),
      config(checked_llama(c)),
      embed_tokens(sub("embed_tokens").at_layer(0), config.vocab_size, config.embed_dim),
      layers(sub("layers"), /*first_layer=*/1),
      norm(norm_scope(sub("norm")), config.embed_dim, config.rms_eps),
      frequencies_(core::rope_frequencies(config.head_dim, config.rope_theta, config.rope_scaling)) {
  for (int64_t i = 0; i < config.depth; ++i) layers.add(config);
  if (!config.tied) lm_head.emplace(sub("lm_head"), config.embed_dim, config.vocab_size, matrix());
}

Var Llama::embed(const Tensor& ids) {
  check<ShapeError>(ids.rank() == 2 && ids.dtype() == DType::i64 && ids.numel() > 0, "llama",
                    "needs ids i64 [B, T], was given {} {}", ids.dtype(), ids.shape());
  return embed_tokens(ids);
}

LlamaPlaces Llama::places(int64_t batch, int64_t tokens, int64_t first, const Tensor& mask, int64_t prefix) const {
  LlamaPlaces p;
  p.rope = core::make_rope(token_positions(batch, first, tokens, mask), frequencies_,
                           dtype() == DType::f64 ? DType::f64 : DType::f32);
  p.options = {.scale = 1 / std::sqrt(double(config.head_dim)), .causal = true, .first_query = first, .prefix = prefix};
  if (mask.defined()) p.options.mask = mask.reshape({batch, 1, 1, first + tokens});
  return p;
}

Var Llama::hidden(const Var& embeddings, KvCache* cache, const LlamaInput& input) {
  check<ShapeError>(embeddings.rank() == 3 && embeddings.size(2) == config.embed_dim && embeddings.size(1) > 0, "llama",
                    "needs embeddings [B, T, {}], was given {}", config.embed_dim, embeddings.shape());
  const int64_t batch = embeddings.size(0), tokens = embeddings.size(1), first = cache ? cache->length() : 0;
  check<ShapeError>(first + tokens <= config.context_length, "llama", "the text has {} tokens; the context has {}",
                    first + tokens, config.context_length);
  check<ShapeError>(input.prefix <= first || (first == 0 && input.prefix <= tokens), "llama",
                    "the prefix has {} tokens and must be read in one piece; this one holds tokens {} to {}",
                    input.prefix, first, first + tokens);
  const Tensor mask = joined_mask(cache ? cache->mask() : Tensor(), input.mask, batch, first, tokens);
  const LlamaPlaces where = places(batch, tokens, first, mask, input.prefix);
  Var x = embeddings;
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto block = [this, i, cache, where](const Var& t) { return layers[i](t, where, cache, i); };
    x = checkpoint_blocks && !cache ? ag::recompute(block, x) : block(x);
  }
  if (cache) cache->advance(tokens, mask);
  return norm(x);
}

void Llama::quantize_int8() {
  nn::quantize_int8(*this);
  if (!config.tied) return;
  const MemoryOwner owner("int8 weights");
  int8_output_ = core::quantize_int8(embed_tokens.weight.value());
}

int64_t Llama::bytes_per_token() {
  const auto output = [&] { return int8_output_ ? int8_output_->nbytes() : embed_tokens.weight.value().nbytes(); };
  int64_t bytes = config.tied ? output() : 0;
  for (const Linear* layer : modules<Linear>())
    bytes += layer->int8 ? layer->int8->nbytes() : layer->weight.value().nbytes();
  return bytes;
}

Var Llama::logits(const Var& hidden) {
  if (int8_output_) return linear(hidden, *int8_output_, {}, DType::f32);
  return lm_head ? (*lm_head)(hidden, DType::f32) : linear(hidden, embed_tokens.weight, {}, DType::f32);
}

}  // namespace vitrail::nn
