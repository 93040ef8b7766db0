// The tokens that a language model is trained and evaluated on.
#pragma once

#include "vitrail/recipes/methods/lm.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

/// The tokens of all texts at path, one after the other. A text has the tokenizer's start of text before it and its
/// first end of text behind it; if both are the same token, it stands once between texts. Texts without a letter are
/// left out. Throws: ConfigError if path is neither a file nor a folder; DataError if there is no .txt file or no text.
std::vector<int32_t> read_texts(const std::string& path, std::string_view separator,
                                const data::LanguageTokenizer& tokenizer);

/// Both parts of the texts, and their tokenizer.
struct LmData {
  TokenizerFiles files;
  std::shared_ptr<const data::LanguageTokenizer> tokenizer;
  std::vector<int32_t> train, val;  // tokens; val may be empty

  /// Throws as read_texts, or ConfigError or DataError naming the key of `data` that does not fit.
  explicit LmData(const LmConfig& config);
};

}  // namespace vitrail::recipes
