#include "vitrail/nn/attention.h"

#include <algorithm>
#include <cmath>

namespace vitrail::nn {
namespace {

const AttentionConfig& checked(const AttentionConfig& c) {
  check<ConfigError>(c.num_heads > 0 && c.dim % c.num_heads == 0, "attention",
                     "embed_dim {} is not a multiple of num_heads {}", c.dim, c.num_heads);
  return c;
}

}  // namespace

Attention::Attention(const Scope& scope, const AttentionConfig& config)
    : Module(scope),
      qkv(sub("qkv"), checked(config).dim, 3 * config.dim, {.bias = config.qkv_bias}),
      proj(sub("proj"), config.dim, config.dim),
      proj_drop(sub("proj_drop"), config.proj_drop),
      config_(config) {
  const int64_t head_dim = config.dim / config.num_heads;
  options_ = {.scale = 1 / std::sqrt(double(head_dim)), .causal = config.causal};
  if (config.qk_norm) {
    q_norm.emplace(sub("q_norm"), head_dim);
    k_norm.emplace(sub("k_norm"), head_dim);
  }
}

Attention::Heads Attention::heads(const Var& x, const Var& queries) {
  // The thirds begin .. end of the projection, as [end - begin, B, H, N, D].
  const auto project = [&](const Var& tokens, int64_t begin, int64_t end) {
    const int64_t dim = config_.dim;
    const Var y = end - begin == 3 ? qkv(tokens)
                                   : linear(tokens, slice(qkv.weight, 0, begin * dim, end * dim),
                                            qkv.bias ? slice(*qkv.bias, 0, begin * dim, end * dim) : Var());
    return permute(reshape(y, {y.size(0), y.size(1), end - begin, config_.num_heads, -1}), {2, 0, 3, 1, 4});
  };
  Heads h;
  if (queries.defined()) {
    const Var kv = project(x, 1, 3);
    h = {select(project(queries, 0, 1), 0, 0), select(kv, 0, 0), select(kv, 0, 1)};
  } else {
    const Var t = project(x, 0, 3);
    h = {select(t, 0, 0), select(t, 0, 1), select(t, 0, 2)};
  }
  if (q_norm) h.q = (*q_norm)(h.q);
  if (k_norm) h.k = (*k_norm)(h.k);
  return h;
}

Var Attention::forward(const Var& x, std::optional<int64_t> first) {
  Var y;
  if (q_norm || first) {
    const Heads h = heads(x, first ? slice(x, 1, 0, *first) : Var());
    y = attention(h.q, h.k, h.v, options_);  // [B, N, C], or [B, first, C]
  } else {
    y = attention(qkv(x), config_.num_heads, options_);  // [B, N, C]
  }
  return proj_drop(proj(y, DType::f32));
}

Var Attention::forward(const Var& x, const Tensor& places) {
  const Heads h = heads(x, gather_tokens(x, places));
  Var scores = matmul(h.q, h.k, ag::Trans::no, ag::Trans::yes, x.dtype() == DType::f64 ? DType::f64 : DType::f32);
  scores = scores * options_.scale;  // [B, H, 1, N]
  if (options_.causal) {
    constexpr double kNever = -1e30;  // its exponential is 0 beside any other score
    const int64_t batch = x.size(0), tokens = x.size(1);
    Tensor seen = zeros({batch, 1, 1, tokens}, DType::u8);
    for (int64_t b = 0; b < batch; ++b)
      std::fill_n(seen.data<uint8_t>() + b * tokens, places.contiguous().data<int64_t>()[b] + 1, uint8_t(1));
    scores = where(seen, scores, scalar(kNever, scores.dtype()));
  }
  const Var y = permute(matmul(softmax(scores), h.v), {0, 2, 1, 3});  // [B, 1, H, D]
  return proj_drop(proj(reshape(y, {x.size(0), 1, config_.dim}), DType::f32));
}

Tensor Attention::weights(const Var& x) {
  const ag::NoGrad no_grad;
  const Heads h = heads(x);
  return core::attention_weights(h.q.value(), h.k.value(), options_);
}

}  // namespace vitrail::nn
