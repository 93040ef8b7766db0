// TokenBatch: batches of blocks cut from a stream of token ids, for training a language model.
#pragma once

#include "vitrail/data/load/batch_maker.h"

#include <cstdint>
#include <span>
#include <vector>

namespace vitrail::data {

/// "tokens": i64 [B, L], block k is ids[k * L .. (k + 1) * L). "targets": i64 [B, L], the same block one id later, so
/// that each token has the next one to predict. A last block that is not full is left out.
class TokenBatch final : public BatchMaker {
 public:
  /// Throws ConfigError for a length below 1; DataError if ids make no block.
  TokenBatch(std::vector<int32_t> ids, int64_t length);

  int64_t size() const override { return (int64_t(ids_.size()) - 1) / length_; }
  Batch open(std::span<const int64_t> indices) const override;
  int64_t fill(Batch& batch, int64_t i, int64_t index, Rng& rng) const override;

 private:
  std::vector<int32_t> ids_;
  int64_t length_;
};

}  // namespace vitrail::data
