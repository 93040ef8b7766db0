// AnswerText: the text of an answer while its tokens arrive, up to a stop string.
#pragma once

#include "vitrail/data/text/language_tokenizer.h"

#include <string>
#include <vector>

namespace vitrail::recipes {

/// Turns ids into text that can be shown at once: whole characters, and nothing that may turn out to be the beginning
/// of a stop string, whose bytes may come from several tokens.
class AnswerText {
 public:
  /// continues: the answer continues a text, so that its first space is part of it.
  /// Throws ConfigError for an empty stop string.
  AnswerText(const data::LanguageTokenizer& tokenizer, std::vector<std::string> stop_strings, bool continues);

  /// The text that this token makes certain; often none. Nothing comes after a stop string.
  std::string add(int64_t id);
  /// The text that was held back. Call it once after the last token.
  std::string finish();
  /// Whether a stop string has come. The text ends before it.
  bool stopped() const { return stopped_; }

 private:
  std::string release(const std::string& text, bool last);

  data::StreamDecoder decoder_;
  std::vector<std::string> stop_strings_;
  std::string held_;  // the beginning of a stop string, perhaps
  bool stopped_ = false;
};

}  // namespace vitrail::recipes
