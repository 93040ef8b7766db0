#include "vitrail/data/text/train_vocabulary.h"

#include "vitrail/core/error.h"
#include "vitrail/data/text/clean_text.h"
#include "vitrail/data/text/words.h"

#include <algorithm>
#include <queue>
#include <set>
#include <tuple>

namespace vitrail::data {
namespace {

using Pair = std::pair<int32_t, int32_t>;

struct PairHash {
  size_t operator()(const Pair& p) const {
    return std::hash<uint64_t>()((uint64_t(uint32_t(p.first)) << 32 | uint32_t(p.second)) * 0x9E3779B97F4A7C15u);
  }
};

struct Word {
  std::vector<int32_t> symbols;
  int64_t count;
};

/// The occurrences of a pair: their number, and the words (some listed twice, some that no longer have it).
struct Occurrences {
  int64_t count = 0;
  std::vector<size_t> words;
};

/// A pair with its count when it joined the queue.
struct Candidate {
  int64_t count;
  Pair pair;
  bool operator<(const Candidate& other) const { return std::tie(count, other.pair) < std::tie(other.count, pair); }
};

/// The words after the merges so far.
class Corpus {
 public:
  /// first: a vocabulary of bytes. The symbols use its ids.
  Corpus(const std::vector<std::pair<std::string_view, int64_t>>& words, const Vocabulary& bytes) {
    for (const std::string& symbol : all_symbols(bytes)) intern(symbol);
    for (const auto& [text, count] : words) {
      Word word{{}, count};
      for (size_t i = 0; i < text.size(); ++i)
        word.symbols.push_back(bytes.byte_id(static_cast<unsigned char>(text[i]), i + 1 == text.size()));
      words_.push_back(std::move(word));
      count_pairs(words_.size() - 1, 1);
    }
    for (const auto& [pair, where] : pairs_) queue_.push({where.count, pair});
  }

  /// The most frequent pair; its count is below min_count if none is left.
  Candidate most_frequent() {
    while (!queue_.empty()) {
      const Candidate best = queue_.top();
      const int64_t count = pairs_[best.pair].count;
      if (count == best.count) return best;
      queue_.pop();  // its count has changed since
      if (count > 0 && count < best.count) queue_.push({count, best.pair});
    }
    return {0, {}};
  }

  Vocabulary::Symbols merge(const Pair& pair) {
    Vocabulary::Symbols symbols{symbols_[size_t(pair.first)], symbols_[size_t(pair.second)]};
    const int32_t joined = intern(symbols.first + symbols.second);
    std::vector<size_t> where = std::move(pairs_[pair].words);
    std::sort(where.begin(), where.end());
    where.erase(std::unique(where.begin(), where.end()), where.end());
    touched_.clear();
    for (size_t w : where) {
      count_pairs(w, -1);
      replace(words_[w].symbols, pair, joined);
      count_pairs(w, 1);
    }
    pairs_.erase(pair);
    for (const Pair& p : touched_)
      if (const auto found = pairs_.find(p); found != pairs_.end() && found->second.count > 0)
        queue_.push({found->second.count, p});
    return symbols;
  }

 private:
  static std::vector<std::string> all_symbols(const Vocabulary& bytes) {
    std::vector<std::string> symbols;
    for (int64_t id = 0; id < 512; ++id) symbols.push_back(bytes.symbol(id));
    return symbols;
  }

  int32_t intern(const std::string& symbol) {
    const auto [found, added] = ids_.try_emplace(symbol, int32_t(symbols_.size()));
    if (added) symbols_.push_back(symbol);
    return found->second;
  }

  /// Adds the pairs of a word to the counts, or takes them away.
  void count_pairs(size_t w, int64_t sign) {
    const Word& word = words_[w];
    for (size_t i = 0; i + 1 < word.symbols.size(); ++i) {
      const Pair pair{word.symbols[i], word.symbols[i + 1]};
      Occurrences& where = pairs_[pair];
      where.count += sign * word.count;
      if (sign > 0) {
        if (where.words.empty() || where.words.back() != w) where.words.push_back(w);
        touched_.insert(pair);
      }
    }
  }

  static void replace(std::vector<int32_t>& symbols, const Pair& pair, int32_t joined) {
    size_t to = 0;
    for (size_t i = 0; i < symbols.size(); ++i) {
      const bool here = symbols[i] == pair.first && i + 1 < symbols.size() && symbols[i + 1] == pair.second;
      symbols[to++] = here ? joined : symbols[i];
      if (here) ++i;
    }
    symbols.resize(to);
  }

  std::vector<std::string> symbols_;
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<Word> words_;
  std::unordered_map<Pair, Occurrences, PairHash> pairs_;
  std::priority_queue<Candidate> queue_;
  std::set<Pair> touched_;  // pairs whose count may have grown in this merge
};

}  // namespace

void VocabularyTrainer::add(std::string_view text) {
  for_each_word(clean_text(text), [&](std::string_view word) {
    if (word == kStartOfText || word == kEndOfText) return;
    const auto found = counts_.find(word);
    if (found == counts_.end())
      counts_.emplace(word, 1);
    else
      ++found->second;
  });
}

Vocabulary VocabularyTrainer::train(int64_t size, int64_t min_count) const {
  const Vocabulary bytes({});
  check<ConfigError>(size > bytes.size(), "tokenizer",
                     "a vocabulary of {} symbols has no room: bytes, start and end of text take {}", size,
                     bytes.size());
  check<DataError>(!counts_.empty(), "tokenizer", "the texts hold no words");
  std::vector<std::pair<std::string_view, int64_t>> words(counts_.begin(), counts_.end());
  std::sort(words.begin(), words.end());
  Corpus corpus(words, bytes);
  std::vector<Vocabulary::Symbols> merges;
  while (int64_t(merges.size()) < size - bytes.size()) {
    const auto [count, pair] = corpus.most_frequent();
    if (count < std::max<int64_t>(min_count, 1)) break;
    merges.push_back(corpus.merge(pair));
  }
  return Vocabulary(std::move(merges), "the trained vocabulary");
}

}  // namespace vitrail::data
