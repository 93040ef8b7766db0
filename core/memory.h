// The tensor pool: 64-byte aligned blocks. Freed blocks stay in the pool, and large ones merge with free neighbours, so
// a training loop in its steady state allocates nothing from the system. The pool counts live bytes, owner by owner.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace vitrail {

/// A reference-counted block of the pool. Thread: the count is atomic; access to the bytes is not locked.
class Storage {
 public:
  Storage() = default;
  /// bytes uninitialised bytes, 64-byte aligned. Throws OutOfMemory with a breakdown by owner.
  explicit Storage(int64_t bytes);
  /// Bytes that somebody else allocated, at any address. The pool does not count them. They are valid while owner
  /// lives; the storage keeps it alive. owner must not be null.
  Storage(std::byte* data, int64_t bytes, std::shared_ptr<const void> owner);
  Storage(const Storage& other) : block_(other.block_) { retain(); }
  Storage(Storage&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Storage& operator=(Storage other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Storage() { release(); }

  /// The first byte, and the size in bytes.
  std::byte* data() const;
  int64_t bytes() const;
  bool unique() const;  // no other handle shares the block
  bool operator==(const Storage& other) const { return block_ == other.block_; }
  explicit operator bool() const { return block_ != nullptr; }

 private:
  struct Block;
  friend class Pool;
  void retain();
  void release();
  Block* block_ = nullptr;
};

/// Blocks allocated on this thread inside the scope are counted under owner ("params", "optimizer", ...); scopes nest.
class MemoryOwner {
 public:
  /// owner must be a string literal or otherwise outlive the program's tensors.
  explicit MemoryOwner(const char* owner);
  ~MemoryOwner();
  MemoryOwner(const MemoryOwner&) = delete;
  MemoryOwner& operator=(const MemoryOwner&) = delete;

 private:
  const char* outer_;
};

namespace memory {

int64_t live_bytes();                                          // held by tensors now
int64_t peak_bytes();                                          // highest live_bytes since reset_peak
void reset_peak();                                             // peak_bytes becomes live_bytes
int64_t reserved_bytes();                                      // taken from the system: live and cached
int64_t system_allocations();                                  // number of allocations from the system, ever
std::vector<std::pair<std::string, int64_t>> live_by_owner();  // largest first
void set_limit(int64_t bytes);                                 // upper limit of reserved_bytes; 0: no limit
void release_cached();                                         // give cached blocks back to the system

}  // namespace memory
}  // namespace vitrail
