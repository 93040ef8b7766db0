#include "vitrail/nn/kv_cache.h"

#include "vitrail/core/error.h"

namespace vitrail::nn {
namespace {

/// Writes x [B, H, T, D] at token `length` of `to`, which grows where it is too short. Returns all tokens up to the end
/// of x.
Tensor append_tokens(Tensor& to, const Tensor& x, int64_t length) {
  constexpr int64_t kStep = 256;
  const int64_t end = length + x.size(2);
  if (!to.defined() || length == 0 || to.size(2) < end) {
    const MemoryOwner owner("kv cache");
    Tensor larger = Tensor::empty(x.shape().with(2, (end + kStep - 1) / kStep * kStep), x.dtype());
    if (length > 0) larger.slice(2, 0, length).copy_(to.slice(2, 0, length));
    to = larger;
  }
  to.slice(2, length, end).copy_(x);
  return to.slice(2, 0, end);
}

}  // namespace

KvCache::KeysValues KvCache::append(size_t layer, const Tensor& keys, const Tensor& values) {
  check<ShapeError>(keys.rank() == 4 && values.shape() == keys.shape(), "kv cache",
                    "keys are {}, values are {}; both must be [B, H, T, D]", keys.shape(), values.shape());
  if (layers_.size() <= layer) layers_.resize(layer + 1);
  KeysValues& mine = layers_[layer];
  if (length_ > 0)
    check<ShapeError>(mine.keys.defined() && mine.keys.shape().with(2, 1) == keys.shape().with(2, 1) &&
                          mine.keys.dtype() == keys.dtype(),
                      "kv cache",
                      "keys are {} {}; those of earlier tokens are {} {}. A cache serves one batch of one model",
                      keys.dtype(), keys.shape(), mine.keys.dtype(), mine.keys.shape());
  return {append_tokens(mine.keys, keys, length_), append_tokens(mine.values, values, length_)};
}

void KvCache::advance(int64_t tokens, const Tensor& mask) {
  length_ += tokens;
  mask_ = mask;
}

void KvCache::truncate(int64_t length) {
  check<ShapeError>(0 <= length && length <= length_, "kv cache", "cannot keep {} of {} tokens", length, length_);
  length_ = length;
  if (mask_.defined()) mask_ = mask_.slice(1, 0, length);
}

}  // namespace vitrail::nn
