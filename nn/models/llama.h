// Llama: the decoder of Llama, Qwen2 and their relatives, which predicts the next token of a text.
#pragma once

#include "vitrail/core/ops/rope_sequence.h"
#include "vitrail/nn/embedding.h"
#include "vitrail/nn/kv_cache.h"
#include "vitrail/nn/linear.h"
#include "vitrail/nn/norm.h"

namespace vitrail::nn {

/// The defaults are those of Llama 2 7B.
struct LlamaConfig {
  int64_t vocab_size = 32000;
  int64_t embed_dim = 4096;
  int64_t hidden_dim = 11008;  // of the feed-forward
  int64_t depth = 32;
  int64_t num_heads = 32;
  int64_t num_kv_heads = 32;  // num_heads / num_kv_heads query heads share a head of keys and values
  int64_t head_dim = 0;       // 0: embed_dim / num_heads
  double rms_eps = 1e-5;
  double rope_theta = 10000;
  core::RopeScaling rope_scaling = {};
  bool qkv_bias = false;  // Qwen2
  bool tied = false;      // the table of embeddings also gives the logits
  int64_t context_length = 4096;

  bool operator==(const LlamaConfig&) const = default;
};

/// What the tokens of one call see besides the tokens before them.
struct LlamaInput {
  int64_t prefix = 0;  // the first so many tokens of the sequence are seen by all, as the patches of an image
  Tensor mask = {};    // u8 [B, T]: 0 marks padding, on the left or on the right; undefined: no token is padding
};

/// The places of the tokens of one call, the same for all blocks.
struct LlamaPlaces {
  ag::Rope rope;                 // of each token: [B * T, D / 2]
  ag::AttentionOptions options;  // the keys that a token sees
};

/// Attention with rotated queries and keys, and groups of query heads that share keys and values.
/// Shape: x [B, T, C] -> [B, T, C], f32 under autocast for the residual stream.
struct LlamaAttention final : Module<LlamaAttention> {
  LlamaAttention(const Scope& scope, const LlamaConfig& config);

  /// cache: holds the keys and values of earlier tokens and takes those of x, in place `layer`; null: x is all.
  Var forward(const Var& x, const LlamaPlaces& places, KvCache* cache, size_t layer);

  Linear q_proj, k_proj, v_proj, o_proj;
  int64_t head_dim;
};

/// down_proj(silu(gate_proj(x)) * up_proj(x)). Shape: x [..., C] -> [..., C], f32 under autocast.
/// Source: Shazeer 2020 (arXiv:2002.05202).
struct LlamaMlp final : Module<LlamaMlp, Layer> {
  LlamaMlp(const Scope& scope, const LlamaConfig& config);

  Var forward(const Var& x) override;

  Linear gate_proj, up_proj, down_proj;
};

/// x += self_attn(input_layernorm(x)); x += mlp(post_attention_layernorm(x)). Shape: x [B, T, C] -> [B, T, C].
struct LlamaBlock final : Module<LlamaBlock> {
  LlamaBlock(const Scope& scope, const LlamaConfig& config);

  Var forward(const Var& x, const LlamaPlaces& places, KvCache* cache, size_t layer);

  RMSNorm input_layernorm;
  LlamaAttention self_attn;
  RMSNorm post_attention_layernorm;
  LlamaMlp mlp;
};

/// A decoder over tokens, or over embeddings that stand for tokens, as those of an image do.
///
/// With a cache, a text may be read in pieces of any length; the result is that of one piece. Padding changes nothing
/// for other tokens: the position of a token is the number of tokens before it that are not padding. The outputs at
/// padding have no meaning.
/// Dtype:  weights in bf16 (Scope::frozen) compute under Autocast(bf16). Norms then keep f32 weights.
/// Source: Touvron et al. 2023 (arXiv:2302.13971, arXiv:2307.09288); parameter names as in Hugging Face transformers,
///         without "model.". All matrices start as N(0, 0.02^2), as there.
struct Llama final : Module<Llama> {
  /// Throws ConfigError for sizes that do not fit each other.
  Llama(const Scope& scope, const LlamaConfig& config);

  /// ids i64 [B, T] -> [B, T, C]. Throws ShapeError naming an id outside the vocabulary.
  Var embed(const Tensor& ids);
  /// embeddings [B, T, C] -> [B, T, C] after the final norm. cache: reads earlier tokens and adds these ones.
  /// Throws: ShapeError for more tokens than context_length, a mask of another shape, or a prefix that is not read in
  ///         one piece; TapeError if gradients are wanted through a cache.
  Var hidden(const Var& embeddings, KvCache* cache = nullptr, const LlamaInput& input = {});
  /// hidden [..., C] -> [..., V], f32 under autocast.
  Var logits(const Var& hidden);
  /// ids i64 [B, T] -> logits [B, T, V].
  Var forward(const Tensor& ids) { return logits(hidden(embed(ids))); }

  /// Gives 8-bit weights to all matrices but the table of embeddings, for inference: see nn::quantize_int8(). A tied
  /// output gets a copy of the table in 8 bits.
  void quantize_int8();
  /// Bytes of weights that are read for each token: those of all products.
  int64_t bytes_per_token();

  LlamaConfig config;
  Embedding embed_tokens;
  ModuleList<LlamaBlock> layers;
  RMSNorm norm;
  std::optional<Linear> lm_head;   // none if tied
  bool checkpoint_blocks = false;  // recompute each block's activations in the backward pass: less memory, more time

 private:
  LlamaPlaces places(int64_t batch, int64_t tokens, int64_t first, const Tensor& mask, int64_t prefix) const;

  std::vector<double> frequencies_;
  std::optional<core::Int8Matrix> int8_output_;  // tied
};

}  // namespace vitrail::nn
