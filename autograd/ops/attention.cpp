#include "vitrail/autograd/ops/attention.h"

#include "vitrail/autograd/macs.h"
#include "vitrail/core/error.h"

namespace vitrail::ag {
namespace {

/// The three [B, H, N, D] views of a packed projection [B, N, 3 * H * D].
struct Views {
  Tensor q, k, v;
};
Views unpack(const Tensor& qkv, int64_t num_heads) {
  const Tensor t = qkv.reshape({qkv.size(0), qkv.size(1), 3, num_heads, -1}).permute({2, 0, 3, 1, 4});
  return {t.select(0, 0), t.select(0, 1), t.select(0, 2)};
}

void count(const Tensor& q, const Tensor& k) { count_macs(2 * q.numel() * k.size(2)); }
void count(const Tensor& q, const Windows& windows) {
  count_macs(2 * q.size(0) * q.size(1) * q.size(3) * core::window_pairs(windows));
}

void check_packed(const Var& qkv, int64_t num_heads, std::string_view op) {
  check<ShapeError>(qkv.rank() == 3 && num_heads > 0 && qkv.size(2) % (3 * num_heads) == 0, op,
                    "needs qkv [B, N, 3 * heads * D] for {} heads, was given {}", num_heads, qkv.shape());
}

/// The tensor itself if its rows are dense, else a dense copy.
Tensor with_dense_rows(const Tensor& t) { return t.stride(-1) == 1 ? t : t.contiguous(); }

}  // namespace

Var attention(const Var& q, const Var& k, const Var& v, const AttentionOptions& options, const Var& bias) {
  core::AttentionOut out = core::attention(q.value(), k.value(), v.value(), options, bias.value());
  count(q.value(), k.value());
  return record(
      "attention", out.y, {q, k, v, bias},
      [q = q.value(), k = k.value(), v = v.value(), b = bias.value(), out, options](const Tensor& dy, Sink& dx) {
        Tensor dq = Tensor::empty(q.shape(), q.dtype());
        Tensor dk = Tensor::empty(k.shape(), k.dtype());
        Tensor dv = Tensor::empty(v.shape(), v.dtype());
        Tensor db = core::attention_backward(dy, q, k, v, out, options, dq, dk, dv, b, dx.wants(3));
        dx.add(0, std::move(dq));
        dx.add(1, std::move(dk));
        dx.add(2, std::move(dv));
        if (db.defined()) dx.add(3, std::move(db));
      });
}

Var attention(const Var& qkv, int64_t num_heads, const AttentionOptions& options, const Var& bias) {
  check_packed(qkv, num_heads, "attention");
  const Tensor packed = qkv.value().contiguous();
  const Views in = unpack(packed, num_heads);
  core::AttentionOut out = core::attention(in.q, in.k, in.v, options, bias.value());
  count(in.q, in.k);
  return record("attention_packed", out.y, {qkv, bias},
                [packed, num_heads, out, options, b = bias.value()](const Tensor& dy, Sink& dx) {
                  Tensor dqkv = Tensor::empty(packed.shape(), packed.dtype());
                  const Views x = unpack(packed, num_heads), g = unpack(dqkv, num_heads);
                  Tensor db = core::attention_backward(dy, x.q, x.k, x.v, out, options, g.q, g.k, g.v, b, dx.wants(1));
                  dx.add(0, std::move(dqkv));
                  if (db.defined()) dx.add(1, std::move(db));
                });
}

Var window_attention(const Var& q, const Var& k, const Var& v, double scale, const Windows& windows) {
  const Tensor qv = with_dense_rows(q.value()), kv = with_dense_rows(k.value()), vv = with_dense_rows(v.value());
  core::AttentionOut out = core::window_attention(qv, kv, vv, scale, windows);
  count(qv, windows);
  return record("window_attention", out.y, {q, k, v}, [qv, kv, vv, out, scale, windows](const Tensor& dy, Sink& dx) {
    Tensor dq = Tensor::empty(qv.shape(), qv.dtype());
    Tensor dk = Tensor::empty(kv.shape(), kv.dtype());
    Tensor dv = Tensor::empty(vv.shape(), vv.dtype());
    core::window_attention_backward(dy, qv, kv, vv, out, scale, windows, dq, dk, dv);
    dx.add(0, std::move(dq));
    dx.add(1, std::move(dk));
    dx.add(2, std::move(dv));
  });
}

Var window_attention(const Var& qkv, int64_t num_heads, double scale, const Windows& windows) {
  check_packed(qkv, num_heads, "window_attention");
  const Tensor packed = qkv.value().contiguous();
  const Views in = unpack(packed, num_heads);
  core::AttentionOut out = core::window_attention(in.q, in.k, in.v, scale, windows);
  count(in.q, windows);
  return record("window_attention_packed", out.y, {qkv},
                [packed, num_heads, out, scale, windows](const Tensor& dy, Sink& dx) {
                  Tensor dqkv = Tensor::empty(packed.shape(), packed.dtype());
                  const Views x = unpack(packed, num_heads), g = unpack(dqkv, num_heads);
                  core::window_attention_backward(dy, x.q, x.k, x.v, out, scale, windows, g.q, g.k, g.v);
                  dx.add(0, std::move(dqkv));
                });
}

Var rotate(const Var& x, const Rope& rope) {
  const auto turned = [rope](const Tensor& t, bool inverse) {
    Tensor y = Tensor::empty(t.shape(), t.dtype());
    core::rotate(with_dense_rows(t), rope, inverse, y);
    return y;
  };
  return record("rotate", turned(x.value(), false), {x},
                [turned](const Tensor& dy, Sink& dx) { dx.add(0, turned(dy, true)); });
}

Var rotate(const Var& qkv, int64_t num_heads, const Rope& rope) {
  check_packed(qkv, num_heads, "rotate");
  const auto turned = [num_heads, rope](const Tensor& t, bool inverse) {
    Tensor y = Tensor::empty(t.shape(), t.dtype());
    const Views from = unpack(t.contiguous(), num_heads);
    Views to = unpack(y, num_heads);
    core::rotate(from.q, rope, inverse, to.q);
    core::rotate(from.k, rope, inverse, to.k);
    to.v.copy_(from.v);
    return y;
  };
  return record("rotate_packed", turned(qkv.value(), false), {qkv},
                [turned](const Tensor& dy, Sink& dx) { dx.add(0, turned(dy, true)); });
}

}  // namespace vitrail::ag
