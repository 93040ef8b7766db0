#include "core/memory.h"

#include "core/error.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>

namespace vitrail {

struct alignas(64) Storage::Block {
  std::atomic<int64_t> handles{1};
  int64_t bytes = 0;     // asked for
  int64_t capacity = 0;  // of the size class, without this header
  const char* owner = "";
};

namespace {

constexpr int64_t kHugePage = int64_t{2} << 20;
thread_local const char* current_owner = "other";

/// Eight classes an octave: at most an eighth of a block is waste.
int64_t size_class(int64_t bytes) {
  bytes = std::clamp<int64_t>(bytes, 64, int64_t{1} << 60);  // more is refused by the system
  const int64_t step = std::max<int64_t>(64, int64_t(std::bit_floor(uint64_t(bytes))) / 8);
  return (bytes + step - 1) / step * step;
}

std::string mebibytes(int64_t bytes) { return std::to_string((bytes + (1 << 19)) >> 20) + " MiB"; }

}  // namespace

class Pool {
 public:
  static Pool& instance() {
    static Pool* pool = [] {
      // A forked child finds the pool as it was between two allocations.
      pthread_atfork([] { instance().mutex_.lock(); }, [] { instance().mutex_.unlock(); },
                     [] { instance().mutex_.unlock(); });
      return new Pool;  // never destroyed: tensors may outlive static destruction
    }();
    return *pool;
  }

  Storage::Block* allocate(int64_t bytes) {
    const int64_t capacity = size_class(bytes);
    std::lock_guard lock(mutex_);
    auto& free = cache_[capacity];
    Storage::Block* block = nullptr;
    if (!free.empty()) {
      block = free.back();
      free.pop_back();
    } else {
      block = from_system(capacity, bytes);
    }
    block->bytes = bytes;
    block->owner = current_owner;
    live_ += capacity;
    owners_[block->owner] += capacity;
    peak_ = std::max(peak_, live_);
    return block;
  }

  void give_back(Storage::Block* block) {
    std::lock_guard lock(mutex_);
    live_ -= block->capacity;
    owners_[block->owner] -= block->capacity;
    block->handles.store(1, std::memory_order_relaxed);
    cache_[block->capacity].push_back(block);
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
  Storage::Block* from_system(int64_t capacity, int64_t asked) {
    const int64_t total = capacity + int64_t(sizeof(Storage::Block));
    if (limit_ > 0 && reserved_ + total > limit_) release_cached_locked();
    void* memory = nullptr;
    if (limit_ == 0 || reserved_ + total <= limit_) {
      memory = aligned(total);
      if (memory == nullptr) {
        release_cached_locked();
        memory = aligned(total);
      }
    }
    if (memory == nullptr) fail<OutOfMemory>("memory", "{}", breakdown(asked));
    reserved_ += total;
    ++system_allocations_;
    auto* block = new (memory) Storage::Block;
    block->capacity = capacity;
    return block;
  }

  static void* aligned(int64_t bytes) {
    const bool huge = bytes >= kHugePage;
    void* memory = nullptr;
    if (posix_memalign(&memory, size_t(huge ? kHugePage : 64), size_t(bytes)) != 0) return nullptr;
    if (huge) madvise(memory, size_t(bytes), MADV_HUGEPAGE);
    return memory;
  }

  void release_cached_locked() {
    for (auto& [capacity, free] : cache_) {
      for (Storage::Block* block : free) {
        reserved_ -= capacity + int64_t(sizeof(Storage::Block));
        std::free(block);
      }
      free.clear();
    }
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
    return text + "; a smaller batch or activation checkpointing needs less";
  }

  std::mutex mutex_;
  std::map<int64_t, std::vector<Storage::Block*>> cache_;
};

Storage::Storage(int64_t bytes) : block_(Pool::instance().allocate(bytes)) {}
std::byte* Storage::data() const { return block_ ? reinterpret_cast<std::byte*>(block_ + 1) : nullptr; }
int64_t Storage::bytes() const { return block_ ? block_->bytes : 0; }
bool Storage::unique() const { return block_ && block_->handles.load(std::memory_order_acquire) == 1; }
void Storage::retain() {
  if (block_) block_->handles.fetch_add(1, std::memory_order_relaxed);
}
void Storage::release() {
  if (block_ && block_->handles.fetch_sub(1, std::memory_order_acq_rel) == 1) Pool::instance().give_back(block_);
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
