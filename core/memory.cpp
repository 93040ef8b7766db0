#include "vitrail/core/memory.h"

#include "vitrail/core/error.h"
#include "vitrail/core/segments.h"

#include <pthread.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

namespace vitrail {

struct alignas(64) Storage::Block {
  std::atomic<int64_t> handles{1};
  int64_t bytes = 0;     // requested
  int64_t capacity = 0;  // without this header
  const char* owner = "";
  std::byte* data = nullptr;  // follows this header, unless the memory is external
  std::shared_ptr<const void> lender = nullptr;
};

namespace {

constexpr int64_t kHeader = 64;                 // in front of the bytes: a Block
constexpr int64_t kLarge = int64_t{256} << 10;  // with its header: such blocks are cut from segments
// The smallest request to the system. Untouched memory costs nothing.
constexpr int64_t kSegment = int64_t{256} << 20;
thread_local const char* current_owner = "other";

int64_t rounded_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/// The capacity of a block for `bytes`, without its header. Small blocks have eight classes an octave, so at most an
/// eighth is wasted.
int64_t capacity_for(int64_t bytes) {
  bytes = std::clamp<int64_t>(bytes, 64, int64_t{1} << 60);  // the system refuses more
  const int64_t step = std::max<int64_t>(64, int64_t(std::bit_floor(uint64_t(bytes))) / 8);
  const int64_t size_class = rounded_up(bytes, step);
  if (size_class + kHeader < kLarge) return size_class;
  return std::max(rounded_up(bytes + kHeader, Segments::kUnit), kLarge) - kHeader;
}

bool is_large(int64_t capacity) { return capacity + kHeader >= kLarge; }

std::string mebibytes(int64_t bytes) { return std::to_string((bytes + (1 << 19)) >> 20) + " MiB"; }

}  // namespace

class Pool {
 public:
  static Pool& instance() {
    static Pool* pool = [] {
      // A forked child gets the pool in its state between two allocations.
      pthread_atfork([] { instance().mutex_.lock(); }, [] { instance().mutex_.unlock(); },
                     [] { instance().mutex_.unlock(); });
      return new Pool;  // never destroyed: tensors may outlive static destruction
    }();
    return *pool;
  }

  Storage::Block* allocate(int64_t bytes) {
    static_assert(sizeof(Storage::Block) == kHeader);
    const int64_t capacity = capacity_for(bytes);
    std::lock_guard lock(mutex_);
    void* const memory = is_large(capacity) ? large(capacity + kHeader) : small(capacity);
    if (memory == nullptr) fail<OutOfMemory>("memory", "{}", breakdown(bytes));
    auto* const block = new (memory) Storage::Block;
    block->bytes = bytes;
    block->capacity = capacity;
    block->owner = current_owner;
    block->data = reinterpret_cast<std::byte*>(block + 1);
    live_ += capacity;
    owners_[block->owner] += capacity;
    peak_ = std::max(peak_, live_);
    return block;
  }

  void give_back(Storage::Block* block) {
    std::lock_guard lock(mutex_);
    live_ -= block->capacity;
    owners_[block->owner] -= block->capacity;
    const int64_t capacity = block->capacity;
    auto* const memory = reinterpret_cast<std::byte*>(block);
    std::destroy_at(block);
    if (is_large(capacity))
      segments_.give_back(memory, capacity + kHeader);
    else
      cache_[capacity].push_back(memory);
  }

  void release_cached() {
    std::lock_guard lock(mutex_);
    release_cached_locked();
  }

  template <class F>
  auto locked(F&& fn) {
    std::lock_guard lock(mutex_);
    return fn(*this);
  }

  int64_t live_ = 0, peak_ = 0, reserved_ = 0, limit_ = 0, system_allocations_ = 0;
  std::map<std::string_view, int64_t> owners_;

 private:
  /// A small block. Null if the system refuses or the limit is reached.
  std::byte* small(int64_t capacity) {
    auto& free = cache_[capacity];
    if (!free.empty()) {
      std::byte* const memory = free.back();
      free.pop_back();
      return memory;
    }
    const int64_t total = capacity + kHeader;
    const auto from_system = [&]() -> std::byte* {
      void* memory = nullptr;
      if (!allowed(total) || posix_memalign(&memory, 64, size_t(total)) != 0) return nullptr;
      count(total);
      return static_cast<std::byte*>(memory);
    };
    if (std::byte* const memory = from_system()) return memory;
    release_cached_locked();
    return from_system();
  }

  /// A block cut from a segment. Null if the system refuses or the limit is reached.
  std::byte* large(int64_t total) {
    const int64_t least = rounded_up(total, Segments::kHugePage);
    const auto grow = [&](int64_t bytes) {
      if (!allowed(bytes) || !segments_.grow(bytes)) return false;
      count(bytes);
      return true;
    };
    if (std::byte* const memory = segments_.take(total)) return memory;
    if (!grow(std::max(least, kSegment)) && !grow(least)) {
      release_cached_locked();
      grow(least);
    }
    return segments_.take(total);
  }

  bool allowed(int64_t bytes) const { return limit_ == 0 || reserved_ + bytes <= limit_; }
  void count(int64_t bytes) {
    reserved_ += bytes;
    ++system_allocations_;
  }

  void release_cached_locked() {
    for (auto& [capacity, free] : cache_) {
      for (std::byte* memory : free) {
        reserved_ -= capacity + kHeader;
        std::free(memory);
      }
      free.clear();
    }
    reserved_ -= segments_.release();
  }

  std::string breakdown(int64_t asked) const {
    std::string text = "out of memory: asked for " + mebibytes(asked) + "; in use " + mebibytes(live_) + " (";
    const char* comma = "";
    for (const auto& [owner, bytes] : owners_) {
      if (bytes < (1 << 20)) continue;
      text += comma + std::string(owner) + " " + mebibytes(bytes);
      comma = ", ";
    }
    text += ")";
    if (limit_ > 0) text += ", limit " + mebibytes(limit_);
    return text + "; a smaller batch or recomputing blocks in the backward pass needs less";
  }

  std::mutex mutex_;
  std::map<int64_t, std::vector<std::byte*>> cache_;  // small free blocks by capacity
  Segments segments_;
};

Storage::Storage(int64_t bytes) : block_(Pool::instance().allocate(bytes)) {}
Storage::Storage(std::byte* data, int64_t bytes, std::shared_ptr<const void> owner) : block_(new Block) {
  block_->bytes = bytes;
  block_->data = data;
  block_->lender = std::move(owner);
}
std::byte* Storage::data() const { return block_ ? block_->data : nullptr; }
int64_t Storage::bytes() const { return block_ ? block_->bytes : 0; }
bool Storage::unique() const { return block_ && block_->handles.load(std::memory_order_acquire) == 1; }
void Storage::retain() {
  if (block_) block_->handles.fetch_add(1, std::memory_order_relaxed);
}
void Storage::release() {
  if (!block_ || block_->handles.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (block_->lender)
    delete block_;
  else
    Pool::instance().give_back(block_);
}

MemoryOwner::MemoryOwner(const char* owner) : outer_(std::exchange(current_owner, owner)) {}
MemoryOwner::~MemoryOwner() { current_owner = outer_; }

namespace memory {

int64_t live_bytes() {
  return Pool::instance().locked([](Pool& p) { return p.live_; });
}
int64_t peak_bytes() {
  return Pool::instance().locked([](Pool& p) { return p.peak_; });
}
void reset_peak() {
  Pool::instance().locked([](Pool& p) { return p.peak_ = p.live_; });
}
int64_t reserved_bytes() {
  return Pool::instance().locked([](Pool& p) { return p.reserved_; });
}
int64_t system_allocations() {
  return Pool::instance().locked([](Pool& p) { return p.system_allocations_; });
}
void set_limit(int64_t bytes) {
  Pool::instance().locked([=](Pool& p) { return p.limit_ = bytes; });
}
void release_cached() { Pool::instance().release_cached(); }

std::vector<std::pair<std::string, int64_t>> live_by_owner() {
  auto owners = Pool::instance().locked(
      [](Pool& p) { return std::vector<std::pair<std::string, int64_t>>(p.owners_.begin(), p.owners_.end()); });
  std::erase_if(owners, [](const auto& o) { return o.second == 0; });
  std::stable_sort(owners.begin(), owners.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return owners;
}

}  // namespace memory
}  // namespace vitrail
