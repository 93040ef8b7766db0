#include "vitrail/data/load/token_batch.h"

#include "vitrail/core/error.h"

#include <algorithm>
#include <utility>

namespace vitrail::data {

TokenBatch::TokenBatch(std::vector<int32_t> ids, int64_t length) : ids_(std::move(ids)), length_(length) {
  check<ConfigError>(length >= 1, "token_batch", "length is {}; a block needs at least one token", length);
  check<DataError>(int64_t(ids_.size()) > length, "token_batch",
                   "{} ids make no block of {} and the id that follows it", ids_.size(), length);
}

Batch TokenBatch::open(std::span<const int64_t> indices) const {
  const Shape shape{int64_t(indices.size()), length_};
  Batch batch;
  for (const char* name : {"tokens", "targets"}) batch.tensors.emplace(name, Tensor::empty(shape, DType::i64));
  return batch;
}

int64_t TokenBatch::fill(Batch& batch, int64_t i, int64_t index, Rng&) const {
  const auto block = ids_.begin() + index * length_;
  std::copy_n(block, length_, batch.tensors.at("tokens").data<int64_t>() + i * length_);
  std::copy_n(block + 1, length_, batch.tensors.at("targets").data<int64_t>() + i * length_);
  return index;
}

}  // namespace vitrail::data
