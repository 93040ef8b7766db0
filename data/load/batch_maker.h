// Batch: named tensors. BatchMaker: how one kind of sample (images, pairs, tokens) becomes a batch. The Loader brings
// the threads, the order of the samples and the place to resume from; a BatchMaker brings only the samples.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/core/tensor_map.h"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace vitrail::data {

class BadFiles;

struct Batch {
  TensorMap tensors;             // "images", "labels", "tokens", ...: the BatchMaker documents its names
  std::vector<int64_t> indices;  // of the samples, those of replacements for broken ones; samples left out have none
  int64_t epoch = 0;
  int64_t position = 0;  // of the first sample in the order of the epoch

  /// Samples in the batch.
  int64_t size() const { return int64_t(indices.size()); }
  /// Whether there is a tensor of that name.
  bool contains(std::string_view name) const { return tensors.contains(name); }
  /// Throws DataError that lists the names if there is no tensor `name`.
  const Tensor& operator[](std::string_view name) const;
};

/// What BatchMaker::fill returns for a sample that is left out.
inline constexpr int64_t kLeftOut = -1;

/// Makes batches from samples 0..size()-1.
///
/// The Loader calls open() once for a batch, fill() once for each sample, then close() once. Fills of one batch run at
/// the same time on several threads, so a maker has no state that changes.
class BatchMaker {
 public:
  virtual ~BatchMaker() = default;

  /// The number of samples in an epoch.
  virtual int64_t size() const = 0;
  /// A batch with room for a sample of each index. The Loader sets indices, epoch and position.
  virtual Batch open(std::span<const int64_t> indices) const = 0;
  /// Writes sample `index` into row i. Returns `index`, or, if the sample is broken, the index of the sample that
  /// replaces it or kLeftOut. close() removes the rows of samples that are left out, and their indices.
  /// rng depends on (seed, epoch, index, repeat) alone.
  virtual int64_t fill(Batch& batch, int64_t i, int64_t index, Rng& rng) const = 0;
  /// Finishes the batch when every row is written, for example by padding.
  virtual void close(Batch&) const {}
  /// The list that broken samples are added to; null if the maker keeps none.
  virtual const BadFiles* bad_files() const { return nullptr; }
};

}  // namespace vitrail::data
