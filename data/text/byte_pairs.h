// Merges of a byte-pair encoding: which neighbouring symbols merge, and the loop that merges them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <span>
#include <vector>

namespace vitrail::data {

/// The merge of a pair of symbols.
struct Merge {
  int32_t rank;  // merges of lower rank come first
  int32_t id;    // of the symbol that it makes
};

/// The merge of each pair of symbols, if there is one.
class MergeTable final {
 public:
  /// A table for at most this many merges.
  explicit MergeTable(size_t most = 0);

  /// Sets the merge of two symbols, whose ids are not negative. The last one counts.
  void set(int32_t left, int32_t right, Merge merge);
  /// The merge of two neighbours; nothing if they do not merge.
  std::optional<Merge> find(int32_t left, int32_t right) const;

 private:
  struct Slot {
    int32_t left = -1, right = -1;
    Merge merge{};
  };
  size_t slot_of(int32_t left, int32_t right) const;

  std::vector<Slot> slots_;  // open addressing, at most half full
};

/// Merges the symbols of one word: always the neighbours of the lowest rank, the leftmost of several, until no
/// neighbours merge. The symbols are a linked list, and a heap holds the neighbours that merge: n log n for n symbols.
/// Source: Sennrich et al. 2016 (arXiv:1508.07909).
class PairMerger final {
 public:
  /// When a pair that a merge has made may merge itself. The two differ if that pair has a lower rank.
  enum class NewPairs {
    after_rank,  ///< after all merges of the rank, as in the code of GPT-2 and CLIP
    at_once      ///< as in Hugging Face's tokenizers and SentencePiece
  };
  PairMerger(const MergeTable& merges, NewPairs new_pairs) : merges_(merges), new_pairs_(new_pairs) {}

  /// Appends to ids the symbols that remain. Takes at most 2^30 symbols.
  void merge(std::span<const int32_t> symbols, std::vector<int64_t>& ids);

 private:
  static constexpr int32_t kNone = -1;
  struct Node {
    int32_t id;  // kNone once it is part of the node before it
    int32_t previous, next;
  };

  Node& node(int32_t i) { return nodes_[size_t(i)]; }
  std::optional<Merge> merge_at(int32_t left);
  void offer(int32_t left);
  void merge_lowest_rank();

  const MergeTable& merges_;
  NewPairs new_pairs_;
  std::vector<Node> nodes_;
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> heap_;  // rank, then the left one of the two
  std::vector<int32_t> merged_;
};

}  // namespace vitrail::data
