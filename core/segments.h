// Segments: large pieces of memory, cut from huge pages and merged again when they are freed. Internal to core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

namespace vitrail {

/// Memory for blocks of many sizes. Separate pages for each block would waste half a huge page of 2 MiB each, and
/// memory freed by one size could not serve another. Never destroyed. Thread: the caller locks.
class Segments {
 public:
  static constexpr int64_t kUnit = 4096;  // pieces are multiples of this
  static constexpr int64_t kHugePage = int64_t{2} << 20;
  static constexpr int64_t kBig = int64_t{4} << 20;

  /// bytes, a multiple of kUnit, from the smallest free piece that is large enough; null if none is. Aligned to 64
  /// bytes. Big blocks come from a piece's end and others from its beginning, which leaves larger gaps.
  std::byte* take(int64_t bytes);
  void give_back(std::byte* piece, int64_t bytes);

  /// Takes a segment of bytes, a multiple of kHugePage, from the system. False if the system refuses. Memory is used
  /// only once it is touched, so a large segment costs no more than the pieces cut from it.
  bool grow(int64_t bytes);
  /// Gives unused segments back to the system. Returns their size.
  int64_t release();

 private:
  void insert(std::byte* piece, int64_t bytes);
  void erase(std::map<std::byte*, int64_t>::iterator piece);

  std::map<std::byte*, int64_t> segments_;
  std::map<std::byte*, int64_t> free_;  // by address; neighbours in one segment are one piece
  std::set<std::pair<int64_t, std::byte*>> by_size_;
};

}  // namespace vitrail
