#include "vitrail/data/text/tokenizer.h"

#include "vitrail/core/error.h"
#include "vitrail/data/text/clean_text.h"
#include "vitrail/data/text/unicode.h"
#include "vitrail/data/text/words.h"

#include <algorithm>
#include <functional>
#include <queue>

namespace vitrail::data {
namespace {

/// Merges the symbols of one word. Repeatedly merges the neighbours of the lowest rank, from left to right, until no
/// neighbours merge. The symbols are a linked list, and a heap holds the neighbours that merge: n log n for n bytes.
class WordEncoder {
 public:
  explicit WordEncoder(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

  void encode(std::string_view word, std::vector<int64_t>& ids) {
    const auto n = int32_t(word.size());
    nodes_.clear();
    for (int32_t i = 0; i < n; ++i)
      nodes_.push_back({vocabulary_.byte_id(static_cast<unsigned char>(word[size_t(i)]), i + 1 == n), i - 1,
                        i + 1 < n ? i + 1 : kNone});
    for (int32_t i = 0; i < n; ++i) offer(i);
    while (!heap_.empty()) merge_lowest();
    for (int32_t i = n ? 0 : kNone; i != kNone; i = node(i).next) ids.push_back(node(i).id);
  }

 private:
  static constexpr int32_t kNone = -1;
  struct Node {
    int32_t id;  // kNone once it is part of the node before it
    int32_t previous, next;
  };

  Node& node(int32_t i) { return nodes_[size_t(i)]; }

  std::optional<Vocabulary::Merge> merge_at(int32_t left) {
    if (left == kNone || node(left).id == kNone || node(left).next == kNone) return std::nullopt;
    return vocabulary_.merge(node(left).id, node(node(left).next).id);
  }

  void offer(int32_t left) {
    if (const auto merge = merge_at(left)) heap_.push((uint64_t(uint32_t(merge->rank)) << 32) | uint32_t(left));
  }

  /// Merges all neighbours of the lowest rank. The new symbols join the heap after the last merge, as in the
  /// definition.
  void merge_lowest() {
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
    }
    for (int32_t i : merged_) {
      offer(i);
      offer(node(i).previous);
    }
  }

  const Vocabulary& vocabulary_;
  std::vector<Node> nodes_;
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> heap_;  // rank, then the left one of the two
  std::vector<int32_t> merged_;
};

constexpr size_t kLongestWord = size_t{1} << 30;  // longer words are cut, so that positions fit an int32_t

}  // namespace

Tokenizer::Tokenizer(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}

std::vector<int64_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int64_t> ids;
  WordEncoder encoder(vocabulary_);
  for_each_word(clean_text(text), [&](std::string_view word) {
    if (word == kStartOfText)
      ids.push_back(vocabulary_.start_of_text());
    else if (word == kEndOfText)
      ids.push_back(vocabulary_.end_of_text());
    else
      for (; !word.empty(); word.remove_prefix(std::min(kLongestWord, word.size())))
        encoder.encode(word.substr(0, kLongestWord), ids);
  });
  return ids;
}

Tensor Tokenizer::encode_batch(std::span<const std::string> texts, int64_t context_length) const {
  check<ConfigError>(context_length >= 2, "tokenizer", "context_length is {}; start and end of text alone take 2",
                     context_length);
  Tensor batch = zeros({int64_t(texts.size()), context_length}, DType::i64);
  int64_t* row = batch.data<int64_t>();
  for (const std::string& text : texts) {
    const std::vector<int64_t> ids = encode(text);
    const int64_t n = std::min(int64_t(ids.size()), context_length - 2);
    row[0] = vocabulary_.start_of_text();
    std::copy_n(ids.begin(), n, row + 1);
    row[n + 1] = vocabulary_.end_of_text();
    row += context_length;
  }
  return batch;
}

std::string Tokenizer::decode(std::span<const int64_t> ids) const {
  std::string bytes;
  for (int64_t id : ids) bytes += vocabulary_.bytes_of(id);
  return encode_utf8(decode_utf8(bytes));
}

}  // namespace vitrail::data
