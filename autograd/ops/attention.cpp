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
  check<ShapeError>(qkv.rank() == 3 && num_heads > 0 && qkv.size(2) % (3 * num_heads) == 0, "attention",
                    "needs qkv [B, N, 3 * heads * D] for {} heads, was given {}", num_heads, qkv.shape());
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

}  // namespace vitrail::ag
