#include "vitrail/data/text/byte_pairs.h"

#include <bit>

namespace vitrail::data {

MergeTable::MergeTable(size_t most) : slots_(std::bit_ceil(2 * most + 1)) {}

/// The slot of the pair, or the free slot for it.
size_t MergeTable::slot_of(int32_t left, int32_t right) const {
  const size_t last = slots_.size() - 1;
  const uint64_t hash = ((uint64_t(uint32_t(left)) << 32) | uint32_t(right)) * 0x9E3779B97F4A7C15u;
  size_t i = size_t(hash >> 32) & last;
  while (slots_[i].left >= 0 && (slots_[i].left != left || slots_[i].right != right)) i = (i + 1) & last;
  return i;
}

void MergeTable::set(int32_t left, int32_t right, Merge merge) { slots_[slot_of(left, right)] = {left, right, merge}; }

std::optional<Merge> MergeTable::find(int32_t left, int32_t right) const {
  const Slot& slot = slots_[slot_of(left, right)];
  return slot.left < 0 ? std::nullopt : std::optional(slot.merge);
}

void PairMerger::merge(std::span<const int32_t> symbols, std::vector<int64_t>& ids) {
  const auto n = int32_t(symbols.size());
  nodes_.clear();
  for (int32_t i = 0; i < n; ++i) nodes_.push_back({symbols[size_t(i)], i - 1, i + 1 < n ? i + 1 : kNone});
  for (int32_t i = 0; i < n; ++i) offer(i);
  while (!heap_.empty()) merge_lowest_rank();
  for (int32_t i = n ? 0 : kNone; i != kNone; i = node(i).next) ids.push_back(node(i).id);
}

std::optional<Merge> PairMerger::merge_at(int32_t left) {
  if (left == kNone || node(left).id == kNone || node(left).next == kNone) return std::nullopt;
  return merges_.find(node(left).id, node(node(left).next).id);
}

void PairMerger::offer(int32_t left) {
  if (const auto merge = merge_at(left)) heap_.push((uint64_t(uint32_t(merge->rank)) << 32) | uint32_t(left));
}

/// Merges all neighbours of the lowest rank, or one pair of them if new pairs may merge at once.
void PairMerger::merge_lowest_rank() {
  const auto rank = int32_t(heap_.top() >> 32);
  merged_.clear();
  while (!heap_.empty() && int32_t(heap_.top() >> 32) == rank) {
    const auto i = int32_t(uint32_t(heap_.top()));
    heap_.pop();
    const auto merge = merge_at(i);
    if (!merge || merge->rank != rank) continue;  // one of the two was merged with something else
    Node& left = node(i);
    Node& right = node(left.next);
    left.id = merge->id;
    right.id = kNone;
    left.next = right.next;
    if (left.next != kNone) node(left.next).previous = i;
    merged_.push_back(i);
    if (new_pairs_ == NewPairs::at_once) break;
  }
  for (int32_t i : merged_) {
    offer(i);
    offer(node(i).previous);
  }
}

}  // namespace vitrail::data
