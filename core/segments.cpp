#include "vitrail/core/segments.h"

#include <sys/mman.h>

#include <cstdlib>
#include <iterator>

namespace vitrail {

std::byte* Segments::take(int64_t bytes) {
  const auto found = by_size_.lower_bound({bytes, nullptr});
  if (found == by_size_.end()) return nullptr;
  const auto [size, piece] = *found;
  erase(free_.find(piece));
  if (size == bytes) return piece;
  const bool from_end = bytes >= kBig;
  insert(from_end ? piece : piece + bytes, size - bytes);
  return from_end ? piece + (size - bytes) : piece;
}

void Segments::give_back(std::byte* piece, int64_t bytes) {
  const auto after = free_.lower_bound(piece);
  if (after != free_.begin() && !segments_.contains(piece)) {
    const auto before = std::prev(after);
    if (before->first + before->second == piece) {
      piece = before->first;
      bytes += before->second;
      erase(before);
    }
  }
  if (after != free_.end() && piece + bytes == after->first && !segments_.contains(after->first)) {
    bytes += after->second;
    erase(after);
  }
  insert(piece, bytes);
}

bool Segments::grow(int64_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, size_t(kHugePage), size_t(bytes)) != 0) return false;
  madvise(memory, size_t(bytes), MADV_HUGEPAGE);
  auto* const segment = static_cast<std::byte*>(memory);
  segments_.emplace(segment, bytes);
  insert(segment, bytes);
  return true;
}

int64_t Segments::release() {
  int64_t released = 0;
  for (auto segment = segments_.begin(); segment != segments_.end();) {
    const auto piece = free_.find(segment->first);
    if (piece == free_.end() || piece->second != segment->second) {
      ++segment;
      continue;
    }
    erase(piece);
    std::free(segment->first);
    released += segment->second;
    segment = segments_.erase(segment);
  }
  return released;
}

void Segments::insert(std::byte* piece, int64_t bytes) {
  free_.emplace(piece, bytes);
  by_size_.emplace(bytes, piece);
}

void Segments::erase(std::map<std::byte*, int64_t>::iterator piece) {
  by_size_.erase({piece->second, piece->first});
  free_.erase(piece);
}

}  // namespace vitrail
