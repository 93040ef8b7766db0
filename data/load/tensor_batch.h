// TensorBatch: batches of rows of tensors in memory, for experiments.
//
//   data::Loader loader(data::TensorBatch({{"x", x}, {"y", y}}), {.batch_size = 64, .shuffle = true, .epochs = 10});
//   while (const auto batch = loader.next()) step((*batch)["x"], (*batch)["y"]);
#pragma once

#include "vitrail/data/load/batch_maker.h"

#include <cstdint>
#include <span>

namespace vitrail::data {

/// Sample i is row i of every tensor. Each tensor [N, ...] gives a tensor [B, ...] of its name and dtype.
class TensorBatch final : public BatchMaker {
 public:
  /// Throws DataError if there are no tensors; ShapeError if one has rank 0 or their numbers of rows differ.
  explicit TensorBatch(TensorMap tensors);

  int64_t size() const override { return tensors_.begin()->second.size(0); }
  Batch open(std::span<const int64_t> indices) const override;
  int64_t fill(Batch& batch, int64_t i, int64_t index, Rng& rng) const override;

 private:
  TensorMap tensors_;  // contiguous
};

}  // namespace vitrail::data
