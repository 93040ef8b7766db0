// Loader: makes batches ahead of time on worker threads. A batch depends on the seed, the epoch and the indices of its
// samples. It never depends on the number of workers, on how far ahead they are, or on where a run was resumed.
#pragma once

#include "vitrail/core/comm/shards.h"
#include "vitrail/data/load/batch_maker.h"

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace vitrail::data {

/// A place in the data: the next sample is number `position` in the order of `epoch`.
struct LoaderState {
  int64_t epoch = 0, position = 0;
  bool operator==(const LoaderState&) const = default;
};

struct LoaderOptions {
  int64_t batch_size = 1;  // of a whole step
  uint64_t seed = 0;
  bool shuffle = false;
  int64_t repeats = 1;     // times that each sample comes in a row, augmented anew: see Sampler
  bool drop_last = false;  // leave out the last batch of an epoch if it is not full
  int64_t epochs = 1;      // the loader ends before this epoch
  LoaderState start{};
  int workers = 1;
  int prefetch = 2;  // batches made ahead of the one in use
  /// Each shard of a step is a batch of batch_size / shards.all samples. next() gives the shards of this rank only.
  /// More than one need drop_last.
  Shards shards{};
  /// The order of an epoch, in place of shuffle: each sample once. It must depend on the epoch alone.
  std::function<std::vector<int64_t>(int64_t epoch)> order{};
};

/// Batches in order of epochs and positions. Thread: call next() from one thread.
class Loader final {
 public:
  /// maker: an ImageBatch, CaptionBatch, TokenBatch, TensorBatch, or one of your own.
  /// Throws ConfigError for options that cannot be used; DataError if there are too few samples for one batch.
  Loader(std::unique_ptr<const BatchMaker> maker, const LoaderOptions& options);
  template <std::derived_from<BatchMaker> Maker>
  Loader(Maker maker, const LoaderOptions& options)
      : Loader(std::make_unique<const Maker>(std::move(maker)), options) {}
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The next batch, across epochs; nothing after the last epoch. A batch whose samples are all left out does not come,
  /// unless it is a shard. Rethrows what the maker threw on a worker; the loader has then ended.
  std::optional<Batch> next();
  /// The list that the maker adds broken samples to; null if it keeps none.
  const BadFiles* bad_files() const;
  /// Of this rank. Counts a last batch that is not full, unless drop_last leaves it out.
  int64_t batches_per_epoch() const;

 private:
  class Pipeline;
  std::unique_ptr<Pipeline> pipeline_;
};

}  // namespace vitrail::data
