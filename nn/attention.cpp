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

Var Rows::of(const Var& x) const {
  if (first) return slice(x, 1, 0, *first);
  return places.defined() ? gather_tokens(x, places) : x;
}

Rows Rows::of_samples(const Tensor& samples) const {
  if (!samples.defined() || !places.defined()) return *this;
  return {.first = {}, .places = core::index_select(places, 0, samples)};
}

Tensor SelfAttention::weights(const Var&, const Places&) {
  fail<ConfigError>("attention", "the attention of '{}' has no weights to show", path());
}

Attention::Attention(const Scope& scope, const AttentionConfig& config)
    : SelfAttention(scope),
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

Attention::Heads Attention::heads(const Var& x, const Rows& rows, const Places& places) {
  // The thirds begin .. end of the projection, as [end - begin, B, H, N, D].
  const auto thirds = [&](const Var& tokens, int64_t begin, int64_t end) {
    const int64_t dim = config_.dim;
    const Var y = end - begin == 3 ? qkv(tokens) : qkv.outputs(tokens, begin * dim, end * dim);
    return permute(reshape(y, {y.size(0), y.size(1), end - begin, config_.num_heads, -1}), {2, 0, 3, 1, 4});
  };
  Heads h;
  if (rows.all()) {
    const Var t = thirds(x, 0, 3);
    h = {select(t, 0, 0), select(t, 0, 1), select(t, 0, 2)};
  } else {
    const Var kv = thirds(x, 1, 3);
    h = {select(thirds(rows.of(x), 0, 1), 0, 0), select(kv, 0, 0), select(kv, 0, 1)};
  }
  if (q_norm) h.q = (*q_norm)(h.q);
  if (k_norm) h.k = (*k_norm)(h.k);
  if (places.rope.defined()) {
    if (rows.all()) h.q = rotate(h.q, places.rope);  // else the rows are prefix tokens, which do not turn
    h.k = rotate(h.k, places.rope);
  }
  return h;
}

Var Attention::attend(const Var& x, const Places& places) {
  if (!q_norm) {
    Var packed = qkv(x);
    if (places.rope.defined()) packed = rotate(packed, config_.num_heads, places.rope);
    if (config_.window == 0) return attention(packed, config_.num_heads, options_);
    return window_attention(packed, config_.num_heads, options_.scale, windows(places));
  }
  const Heads h = heads(x, {}, places);
  if (config_.window == 0) return attention(h.q, h.k, h.v, options_);
  return window_attention(h.q, h.k, h.v, options_.scale, windows(places));
}

Var Attention::forward_rows(const Var& x, const Rows& rows, const Places& places) {
  if (rows.all()) return project(attend(x, places));  // [B, N, C]
  // Prefix tokens see all tokens and do not turn. Other rows depend on their places.
  const bool placed = config_.window > 0 || places.rope.defined();
  if (placed && (!rows.first || *rows.first > places.prefix)) return rows.of(project(attend(x, places)));
  const Heads h = heads(x, rows, places);
  return project(rows.first ? attention(h.q, h.k, h.v, options_) : attend_at(h, rows.places));
}

Var Attention::attend_at(const Heads& h, const Tensor& tokens) {
  const DType type = h.q.dtype() == DType::f64 ? DType::f64 : DType::f32;
  Var scores = matmul(h.q, h.k, ag::Trans::no, ag::Trans::yes, type) * options_.scale;  // [B, H, 1, N]
  if (options_.causal) {
    constexpr double kNever = -1e30;  // its exponential is 0 beside any other score
    const int64_t batch = h.k.size(0), keys = h.k.size(2);
    const Tensor dense = tokens.contiguous();
    Tensor seen = zeros({batch, 1, 1, keys}, DType::u8);
    for (int64_t b = 0; b < batch; ++b)
      std::fill_n(seen.data<uint8_t>() + b * keys, dense.data<int64_t>()[b] + 1, uint8_t(1));
    scores = where(seen, scores, scalar(kNever, scores.dtype()));
  }
  const Var y = permute(matmul(softmax(scores), h.v), {0, 2, 1, 3});  // [B, 1, H, D]
  return reshape(y, {y.size(0), 1, config_.dim});
}

Tensor Attention::weights(const Var& x, const Places& places) {
  const ag::NoGrad no_grad;
  const Heads h = heads(x, {}, places);
  ag::AttentionOptions options = options_;
  if (config_.window > 0) options.mask = core::window_mask(windows(places));
  return core::attention_weights(h.q.value(), h.k.value(), options);
}

}  // namespace vitrail::nn
