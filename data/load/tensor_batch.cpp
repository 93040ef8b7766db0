#include "vitrail/data/load/tensor_batch.h"

#include "vitrail/core/error.h"

#include <cstring>
#include <utility>

namespace vitrail::data {

TensorBatch::TensorBatch(TensorMap tensors) : tensors_(std::move(tensors)) {
  check<DataError>(!tensors_.empty(), "tensor_batch", "there are no tensors");
  for (auto& [name, tensor] : tensors_) {
    check<ShapeError>(tensor.rank() > 0, "tensor_batch", "'{}' is a single number; it needs a row for each sample",
                      name);
    check<ShapeError>(tensor.size(0) == size(), "tensor_batch", "'{}' has {} rows, '{}' has {}", name, tensor.size(0),
                      tensors_.begin()->first, size());
    tensor = tensor.contiguous();
  }
}

Batch TensorBatch::open(std::span<const int64_t> indices) const {
  Batch batch;
  for (const auto& [name, rows] : tensors_) {
    const Shape row = rows.shape().without(0);
    batch.tensors.emplace(name, Tensor::empty(row.insert(0, int64_t(indices.size())), rows.dtype()));
  }
  return batch;
}

int64_t TensorBatch::fill(Batch& batch, int64_t i, int64_t index, Rng&) const {
  for (const auto& [name, rows] : tensors_) {
    const int64_t bytes = rows.nbytes() / size();
    std::memcpy(batch.tensors.at(name).raw() + i * bytes, rows.raw() + index * bytes, size_t(bytes));
  }
  return index;
}

}  // namespace vitrail::data
