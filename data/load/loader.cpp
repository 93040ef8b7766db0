#include "vitrail/data/load/loader.h"

#include "vitrail/core/error.h"
#include "vitrail/core/memory.h"
#include "vitrail/core/parallel.h"
#include "vitrail/data/load/sampler.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

namespace vitrail::data {
namespace {

/// Samples that a worker takes at a time, so that it takes the lock less often.
constexpr int64_t kRun = 4;

/// The key of a sample's random numbers.
uint64_t sample_number(int64_t epoch, int64_t index, int64_t repeat) {
  const uint64_t first = Rng::combine(uint64_t(epoch), uint64_t(index));
  return repeat == 0 ? first : Rng::combine(first, uint64_t(repeat));
}

}  // namespace

/// A window of batches. Workers take runs of samples from the newest batch and open the next batch when every sample
/// of it is taken. The consumer takes the oldest batch when it is closed.
class Loader::Pipeline final {
 public:
  Pipeline(std::unique_ptr<const BatchMaker> maker, const LoaderOptions& options)
      : maker_(std::move(maker)),
        options_(options),
        sampler_(maker_->size(), options.shuffle, options.seed, options.repeats) {
    check<ConfigError>(options.batch_size > 0, "loader", "batch_size is {}; it must be positive", options.batch_size);
    check<ConfigError>(options.workers > 0 && options.prefetch > 0, "loader",
                       "workers is {} and prefetch {}; both must be positive", options.workers, options.prefetch);
    check<ConfigError>(!options.order || options.repeats == 1, "loader", "an order of its own has no repeats");
    const Shards& shards = options.shards;
    check<ConfigError>(shards.all > 0 && options.batch_size % shards.all == 0, "loader",
                       "{} shards do not divide a batch of {}", shards.all, options.batch_size);
    check<ConfigError>(shards.all == 1 || options.drop_last, "loader", "shards need batches that are full: drop_last");
    check<DataError>(batches_per_epoch() > 0, "loader", "{} samples make no batch of {}", maker_->size(),
                     options.batch_size);
    check<ConfigError>(options.start.epoch >= 0 && options.start.position >= 0, "loader",
                       "cannot start at sample {} of epoch {}", options.start.position, options.start.epoch);
    consumed_ = opened_ = next_batch_start(options.start);
    try {
      for (int i = 0; i < options.workers; ++i) workers_.emplace_back([this] { work(); });
    } catch (...) {  // the system allows no more threads: the existing ones must not wait forever
      stop();
      throw;
    }
  }

  ~Pipeline() { stop(); }

  /// The next batch that has a sample.
  std::optional<Batch> next() {
    std::optional<Batch> batch = next_of_any_size();
    while (batch && batch->size() == 0 && options_.shards.all == 1) batch = next_of_any_size();
    return batch;
  }

  std::optional<Batch> next_of_any_size() {
    std::unique_lock lock(mutex_);
    if (consumed_.epoch >= options_.epochs) return std::nullopt;
    const auto ready = [&] { return !window_.empty() && window_.front().closed; };
    closed_.wait(lock, [&] { return ready() || failure_; });
    if (!ready()) std::rethrow_exception(failure_);
    if (window_.front().error) {
      stopped_ = true;  // the batch stays in front: the next call throws the same error
      room_.notify_all();
      std::rethrow_exception(window_.front().error);
    }
    Batch batch = std::move(window_.front().batch);
    consumed_ = next_batch_start({batch.epoch, batch.position + window_.front().size});
    window_.pop_front();
    lock.unlock();
    room_.notify_all();
    return batch;
  }

  const BadFiles* bad_files() const { return maker_->bad_files(); }

  int64_t batches_per_epoch() const {
    const int64_t n = sampler_.length(), b = options_.batch_size;
    return options_.drop_last ? n / b * options_.shards.count : (n + b - 1) / b;
  }

 private:
  using Order = std::shared_ptr<const std::vector<int64_t>>;

  struct Slot {
    Batch batch;
    int64_t size = 0;  // of the batch when it was opened; samples may be left out when it is closed
    Order order;
    int64_t taken = 0;     // samples given to workers
    int64_t unfilled = 0;  // samples not yet written
    bool closed = false;
    std::exception_ptr error;
    int64_t error_at = 0;  // the sample that threw; the batch size if closing threw
  };
  struct Run {
    Slot* slot;
    int64_t begin, end;
  };

  int64_t shard_size() const { return options_.batch_size / options_.shards.all; }

  /// The start of this rank's first batch from `where` on, which may be in the next epoch.
  LoaderState next_batch_start(LoaderState where) const {
    if (options_.shards.all > 1) return next_shard_start(where);
    const int64_t left = sampler_.length() - where.position;
    const bool none = options_.drop_last ? left < options_.batch_size : left <= 0;
    return none ? LoaderState{where.epoch + 1, 0} : where;
  }

  LoaderState next_shard_start(LoaderState where) const {
    const auto& [all, first, count] = options_.shards;
    int64_t step = where.position / options_.batch_size;
    int64_t shard = std::max(where.position % options_.batch_size / shard_size(), first);
    if (shard >= first + count) ++step, shard = first;
    if ((step + 1) * options_.batch_size > sampler_.length()) ++where.epoch, step = 0, shard = first;
    return {where.epoch, step * options_.batch_size + shard * shard_size()};
  }

  void stop() {
    {
      const std::scoped_lock lock(mutex_);
      stopped_ = true;
    }
    room_.notify_all();
  }

  void work() {
    set_num_threads(1);  // of kernels called on this thread: the workers are the parallelism
    const MemoryOwner owner("loader");
    while (const std::optional<Run> run = take_run()) {
      for (int64_t i = run->begin; i < run->end; ++i) fill(*run->slot, i);
      if (is_last(*run)) close(*run->slot);
    }
  }

  std::optional<Run> take_run() {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return stopped_ || has_open_batch() || can_open_batch() || no_more_batches(); });
    if (stopped_ || (!has_open_batch() && no_more_batches())) return std::nullopt;
    try {
      if (!has_open_batch()) open_batch();
    } catch (...) {  // out of memory, or an order that is none
      failure_ = std::current_exception();
      stopped_ = true;
      room_.notify_all();
      closed_.notify_one();
      return std::nullopt;
    }
    Slot& slot = window_.back();
    const int64_t begin = slot.taken;
    slot.taken = std::min(begin + kRun, slot.size);
    return Run{&slot, begin, slot.taken};
  }

  bool has_open_batch() const { return !window_.empty() && window_.back().taken < window_.back().size; }
  bool can_open_batch() const { return !no_more_batches() && int64_t(window_.size()) < options_.prefetch; }
  bool no_more_batches() const { return opened_.epoch >= options_.epochs; }

  std::vector<int64_t> order_of(int64_t epoch) const {
    if (!options_.order) return sampler_.order(epoch);
    std::vector<int64_t> order = options_.order(epoch);
    check<DataError>(int64_t(order.size()) == maker_->size(), "loader", "an order of {} samples, there are {}",
                     order.size(), maker_->size());
    return order;
  }

  void open_batch() {
    if (!order_ || order_epoch_ != opened_.epoch) {
      order_ = std::make_shared<const std::vector<int64_t>>(order_of(opened_.epoch));
      order_epoch_ = opened_.epoch;
    }
    const int64_t count = std::min(shard_size(), sampler_.length() - opened_.position);
    const auto indices = std::span(*order_).subspan(size_t(opened_.position), size_t(count));
    Batch batch = maker_->open(indices);
    batch.indices.assign(indices.begin(), indices.end());
    batch.epoch = opened_.epoch;
    batch.position = opened_.position;
    Slot& slot = window_.emplace_back();
    slot.batch = std::move(batch);
    slot.order = order_;
    slot.size = slot.unfilled = count;
    opened_ = next_batch_start({opened_.epoch, opened_.position + count});
    room_.notify_all();
  }

  /// Writes sample i of the batch. next() rethrows an exception; if several samples throw, the first sample's.
  void fill(Slot& slot, int64_t i) {
    try {
      const int64_t position = slot.batch.position + i, index = (*slot.order)[size_t(position)];
      Rng rng(options_.seed, "augment", sample_number(slot.batch.epoch, index, sampler_.repeat(position)));
      slot.batch.indices[size_t(i)] = maker_->fill(slot.batch, i, index, rng);
    } catch (...) {
      keep_error(slot, i);
    }
  }

  /// Whether the run wrote the last missing samples of its batch.
  bool is_last(const Run& run) {
    const std::scoped_lock lock(mutex_);
    return (run.slot->unfilled -= run.end - run.begin) == 0;
  }

  void close(Slot& slot) {
    try {
      if (!slot.error) maker_->close(slot.batch);
    } catch (...) {
      keep_error(slot, slot.size);
    }
    const std::scoped_lock lock(mutex_);
    slot.closed = true;
    closed_.notify_one();
  }

  void keep_error(Slot& slot, int64_t i) {
    const std::scoped_lock lock(mutex_);
    if (slot.error && slot.error_at < i) return;
    slot.error = std::current_exception();
    slot.error_at = i;
  }

  const std::unique_ptr<const BatchMaker> maker_;
  const LoaderOptions options_;
  const Sampler sampler_;

  LoaderState consumed_;  // start of the batch that next() returns; only the consumer uses it
  std::mutex mutex_;      // guards everything below but the threads
  std::condition_variable room_, closed_;
  std::deque<Slot> window_;  // batches opened and not yet consumed; a deque never moves its elements
  LoaderState opened_;       // start of the next batch to open
  Order order_;
  int64_t order_epoch_ = -1;
  bool stopped_ = false;
  std::exception_ptr failure_;         // thrown while opening a batch
  std::vector<std::jthread> workers_;  // last: they end before the rest is destroyed
};

Loader::Loader(std::unique_ptr<const BatchMaker> maker, const LoaderOptions& options)
    : pipeline_(std::make_unique<Pipeline>(std::move(maker), options)) {}
Loader::~Loader() = default;

std::optional<Batch> Loader::next() { return pipeline_->next(); }
const BadFiles* Loader::bad_files() const { return pipeline_->bad_files(); }
int64_t Loader::batches_per_epoch() const { return pipeline_->batches_per_epoch(); }

}  // namespace vitrail::data
