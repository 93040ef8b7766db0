#include "vitrail/data/load/loader.h"

#include "vitrail/core/error.h"
#include "vitrail/core/memory.h"
#include "vitrail/core/parallel.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace vitrail::data {
namespace {

using Clock = std::chrono::steady_clock;
using Order = std::shared_ptr<const std::vector<int64_t>>;

/// Images that a worker takes at a time, to ask for the lock less often.
constexpr int64_t kRun = 4;

ViewsTransform for_one_view(Transform transform, const LoaderOptions& options) {
  check<ConfigError>(options.views.size() == 1 && options.views[0].count == 1, "loader",
                     "a transform of one view cannot make {} views of {} shapes",
                     options.views.empty() ? 0 : options.views[0].count, options.views.size());
  return [one = std::move(transform)](const Image& image, Rng& rng, std::span<const std::span<float>> out) {
    one(image, rng, out[0]);
  };
}

/// What an image's random numbers belong to.
uint64_t sample_number(int64_t epoch, int64_t index, int64_t repeat) {
  const uint64_t first = Rng::combine(uint64_t(epoch), uint64_t(index));
  return repeat == 0 ? first : Rng::combine(first, uint64_t(repeat));
}

}  // namespace

/// A window of batches: workers take runs of images of the newest batch and open a new batch when it is given out
/// whole; the consumer takes the oldest one when it is filled.
class Loader::Pipeline final {
 public:
  Pipeline(const Dataset& dataset, ViewsTransform transform, const LoaderOptions& options, BadFiles& bad_files)
      : dataset_(dataset),
        transform_(std::move(transform)),
        options_(options),
        bad_files_(bad_files),
        sampler_(dataset.size(), options.shuffle, options.seed, options.repeats),
        consumed_(options.start),
        opened_(options.start),
        mark_(Clock::now()) {
    check<ConfigError>(options.batch_size > 0, "loader", "batch_size is {}; it must be positive", options.batch_size);
    check<ConfigError>(!options.views.empty(), "loader", "views is empty; nothing would be made of an image");
    for (const Views& views : options.views)
      check<ConfigError>(views.count > 0, "loader", "{} views of {}; there must be at least one", views.count,
                         views.shape);
    check<ConfigError>(options.workers > 0 && options.prefetch > 0, "loader",
                       "workers is {} and prefetch {}; both must be positive", options.workers, options.prefetch);
    check<DataError>(batches_per_epoch() > 0, "loader", "{} images make no batch of {}", dataset.size(),
                     options.batch_size);
    check<ConfigError>(options.start.epoch >= 0 && options.start.position >= 0, "loader",
                       "cannot start at image {} of epoch {}", options.start.position, options.start.epoch);
    consumed_ = opened_ = next_batch_start(options.start);
    try {
      for (int i = 0; i < options.workers; ++i) workers_.emplace_back([this] { work(); });
    } catch (...) {  // the system allows no more threads: those that there are must not wait for ever
      stop();
      throw;
    }
  }

  ~Pipeline() { stop(); }

  std::optional<Batch> next() {
    std::unique_lock lock(mutex_);
    if (consumed_.epoch >= options_.epochs) return std::nullopt;
    const auto asked = Clock::now();
    const auto ready = [&] { return !window_.empty() && window_.front().left == 0; };
    filled_.wait(lock, [&] { return ready() || failure_; });
    waited_ += Clock::now() - asked;
    if (!ready()) std::rethrow_exception(failure_);
    if (window_.front().error) {
      stopped_ = true;  // the batch stays in front: asking again gives the same error
      room_.notify_all();
      std::rethrow_exception(window_.front().error);
    }
    Batch batch = std::move(window_.front().batch);
    window_.pop_front();
    consumed_ = next_batch_start({batch.epoch, batch.position + batch.labels.size(0)});
    lock.unlock();
    room_.notify_all();
    return batch;
  }

  LoaderState state() const { return consumed_; }
  const BadFiles& bad_files() const { return bad_files_; }

  int64_t batches_per_epoch() const {
    const int64_t n = sampler_.length(), b = options_.batch_size;
    return options_.drop_last ? n / b : (n + b - 1) / b;
  }

  double take_wait_share() {
    const auto now = Clock::now();
    const std::chrono::duration<double> total = now - mark_, waited = std::exchange(waited_, Clock::duration{});
    mark_ = now;
    return total.count() > 0 ? waited.count() / total.count() : 0;
  }

 private:
  struct Slot {
    Batch batch;
    Order order;
    int64_t taken = 0;  // images given to workers
    int64_t left = 0;   // images not yet filled in
    std::exception_ptr error;
    int64_t error_at = 0;  // the image that error belongs to
  };
  struct Run {
    Slot* slot;
    int64_t begin, end;
  };

  /// where, or the start of the next epoch if no batch begins there.
  LoaderState next_batch_start(LoaderState where) const {
    const int64_t left = sampler_.length() - where.position;
    const bool none = options_.drop_last ? left < options_.batch_size : left <= 0;
    return none ? LoaderState{where.epoch + 1, 0} : where;
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
    std::vector<std::span<float>> places;
    while (const std::optional<Run> run = take_run()) {
      for (int64_t i = run->begin; i < run->end; ++i) fill(*run->slot, i, places);
      const std::scoped_lock lock(mutex_);
      run->slot->left -= run->end - run->begin;
      if (run->slot->left == 0) filled_.notify_one();
    }
  }

  std::optional<Run> take_run() {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return stopped_ || has_open_batch() || can_open_batch() || no_more_batches(); });
    if (stopped_ || (!has_open_batch() && no_more_batches())) return std::nullopt;
    try {
      if (!has_open_batch()) open_batch();
    } catch (...) {  // there is no memory for it
      failure_ = std::current_exception();
      stopped_ = true;
      room_.notify_all();
      filled_.notify_one();
      return std::nullopt;
    }
    Slot& slot = window_.back();
    const int64_t begin = slot.taken;
    slot.taken = std::min(begin + kRun, slot.batch.labels.size(0));
    return Run{&slot, begin, slot.taken};
  }

  bool has_open_batch() const { return !window_.empty() && window_.back().taken < window_.back().batch.labels.size(0); }
  bool can_open_batch() const { return !no_more_batches() && int64_t(window_.size()) < options_.prefetch; }
  bool no_more_batches() const { return opened_.epoch >= options_.epochs; }

  void open_batch() {
    if (!order_ || order_epoch_ != opened_.epoch) {
      order_ = std::make_shared<const std::vector<int64_t>>(sampler_.order(opened_.epoch));
      order_epoch_ = opened_.epoch;
    }
    const int64_t count = std::min(options_.batch_size, sampler_.length() - opened_.position);
    Slot& slot = window_.emplace_back();
    slot.order = order_;
    slot.left = count;
    for (const Views& views : options_.views)
      slot.batch.views.push_back(Tensor::empty(views.shape.insert(0, views.count * count)));
    slot.batch.images = slot.batch.views.front();
    slot.batch.labels = Tensor::empty({count}, DType::i64);
    slot.batch.indices.resize(size_t(count));
    slot.batch.epoch = opened_.epoch;
    slot.batch.position = opened_.position;
    opened_ = next_batch_start({opened_.epoch, opened_.position + count});
    room_.notify_all();
  }

  /// Where the views of image i go.
  void find_places(Batch& batch, int64_t i, std::vector<std::span<float>>& places) const {
    places.clear();
    for (size_t k = 0; k < batch.views.size(); ++k) {
      const Views& views = options_.views[k];
      const int64_t numel = views.shape.numel(), images = batch.labels.size(0);
      float* data = batch.views[k].data<float>();
      for (int64_t v = 0; v < views.count; ++v) places.emplace_back(data + (v * images + i) * numel, size_t(numel));
    }
  }

  /// Image i of the batch; an exception is kept for next(), the one of the first image if there are several. places
  /// is the worker's, to be used again.
  void fill(Slot& slot, int64_t i, std::vector<std::span<float>>& places) {
    try {
      const int64_t position = slot.batch.position + i, index = (*slot.order)[size_t(position)];
      auto [found, sample] = get_good(index);
      Rng rng(options_.seed, "augment", sample_number(slot.batch.epoch, index, sampler_.repeat(position)));
      find_places(slot.batch, i, places);
      transform_(sample.image, rng, places);
      slot.batch.labels.data<int64_t>()[i] = sample.label;
      slot.batch.indices[size_t(i)] = found;
    } catch (...) {
      const std::scoped_lock lock(mutex_);
      if (slot.error && slot.error_at < i) return;
      slot.error = std::current_exception();
      slot.error_at = i;
    }
  }

  /// The image at index, or the first good one after it, in a circle.
  std::pair<int64_t, Sample> get_good(int64_t index) const {
    const int64_t n = dataset_.size();
    for (int64_t tried = 0; tried < n; ++tried) {
      const int64_t at = (index + tried) % n;
      try {
        return {at, dataset_.get(at)};
      } catch (const IoError& error) {
        bad_files_.add(dataset_, at, error.what());
      }
    }
    fail<DataError>("loader", "all {} images are broken; the first is {}", n, dataset_.name(0));
  }

  const Dataset& dataset_;
  const ViewsTransform transform_;
  const LoaderOptions options_;
  BadFiles& bad_files_;
  const Sampler sampler_;

  LoaderState consumed_;  // start of the batch that next() gives; the consumer's alone
  std::mutex mutex_;      // guards what follows, up to the consumer's clocks
  std::condition_variable room_, filled_;
  std::deque<Slot> window_;  // batches opened and not yet consumed; a deque never moves its elements
  LoaderState opened_;       // start of the next batch to open
  Order order_;
  int64_t order_epoch_ = -1;
  bool stopped_ = false;
  std::exception_ptr failure_;  // of opening a batch

  Clock::time_point mark_;
  Clock::duration waited_{};
  std::vector<std::jthread> workers_;  // last: they end before the rest goes
};

Loader::Loader(const Dataset& dataset, Transform transform, const LoaderOptions& options, BadFiles& bad_files)
    : Loader(dataset, for_one_view(std::move(transform), options), options, bad_files) {}
Loader::Loader(const Dataset& dataset, ViewsTransform transform, const LoaderOptions& options, BadFiles& bad_files)
    : pipeline_(std::make_unique<Pipeline>(dataset, std::move(transform), options, bad_files)) {}
Loader::~Loader() = default;

std::optional<Batch> Loader::next() { return pipeline_->next(); }
LoaderState Loader::state() const { return pipeline_->state(); }
const BadFiles& Loader::bad_files() const { return pipeline_->bad_files(); }
int64_t Loader::batches_per_epoch() const { return pipeline_->batches_per_epoch(); }
double Loader::take_wait_share() { return pipeline_->take_wait_share(); }

}  // namespace vitrail::data
