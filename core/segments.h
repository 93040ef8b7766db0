// Segments: large pieces of memory, cut from huge pages and merged again when they come back. Internal to core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

namespace vitrail {

/// Memory for blocks of many sizes. Each on pages of its own would waste half a huge page of 2 MiB, and what one size
/// freed would be of no use to another. Never destroyed. Thread: the caller locks.
class Segments {
 public:
  static constexpr int64_t kUnit = 4096;  // pieces are multiples of this
  static constexpr int64_t kHugePage = int64_t{2} << 20;
  static constexpr int64_t kBig = int64_t{4} << 20;

  /// bytes, a multiple of kUnit, from the smallest free piece that has them; null if none has. Aligned to 64 bytes.
  /// Big blocks come from a piece's end, others from its beginning: apart from each other, they leave larger gaps.
  std::byte* take(int64_t bytes);
  void give_back(std::byte* piece, int64_t bytes);

  /// Takes a segment of bytes, a multiple of kHugePage, from the system. False if it refuses. The system gives memory
  /// when it is touched: a large segment costs no more than what is cut from it.
  bool grow(int64_t bytes);
  /// Gives segments of which nothing is in use back to the system. Returns their size.
  int64_t release();

 private:
  void insert(std::byte* piece, int64_t bytes);
  void erase(std::map<std::byte*, int64_t>::iterator piece);

  std::map<std::byte*, int64_t> segments_;
  std::map<std::byte*, int64_t> free_;  // by address; neighbours in one segment are one piece
  std::set<std::pair<int64_t, std::byte*>> by_size_;
};

}  // namespace vitrail
