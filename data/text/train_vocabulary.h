// Learns a vocabulary from your own captions.
#pragma once

#include "vitrail/data/text/vocabulary.h"

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace vitrail::data {

/// Counts the words of all texts, then repeatedly joins the most frequent pair of neighbouring symbols. Ties go to the
/// pair whose symbols were made first. The result depends on the texts, not on their order.
/// Source: Sennrich et al. 2016 (arXiv:1508.07909), algorithm 1.
class VocabularyTrainer final {
 public:
  /// Counts the words of one text, cleaned as Tokenizer cleans it.
  void add(std::string_view text);

  /// A vocabulary of `size` symbols: 512 for bytes, 2 for start and end of text, the others learned. It has fewer if
  /// no pair occurs min_count times any more.
  /// Throws: ConfigError if size is below 515; DataError if the texts had no words.
  Vocabulary train(int64_t size, int64_t min_count = 2) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, int64_t, Hash, std::equal_to<>> counts_;  // of each word
};

}  // namespace vitrail::data
