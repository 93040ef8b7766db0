// Tokenizer: turns text into the token ids that CLIP's text tower reads, and back.
#pragma once

#include "vitrail/core/tensor.h"
#include "vitrail/data/text/vocabulary.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

/// Byte-pair encoding of cleaned text. With CLIP's vocabulary the ids are CLIP's.
/// Thread: every member may be called from several threads at once.
class Tokenizer final {
 public:
  explicit Tokenizer(Vocabulary vocabulary);

  /// The ids of a text, without start and end of text. Takes any bytes. Time is n log n in the longest word.
  std::vector<int64_t> encode(std::string_view text) const;
  /// Start of text, ids, end of text, then zeros: i64 [B, context_length]. A longer text is cut and still ends
  /// with end of text, as in open_clip. Throws ConfigError if context_length is below 2.
  Tensor encode_batch(std::span<const std::string> texts, int64_t context_length = 77) const;
  /// The text of ids; invalid UTF-8 becomes U+FFFD. Throws ConfigError for an id outside of the vocabulary.
  std::string decode(std::span<const int64_t> ids) const;

  /// The symbols and merges in use.
  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  Vocabulary vocabulary_;
};

}  // namespace vitrail::data
