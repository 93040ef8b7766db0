// tokenizer.json, in which Hugging Face's tokenizers keep the vocabulary and all else in one file.
#pragma once

#include "vitrail/data/text/vocabulary.h"

#include <string>
#include <string_view>

namespace vitrail::data {

/// Parses a tokenizer.json with CLIP's kind of vocabulary: byte pairs, "</w>" at the ends of words. Merges are texts
/// ("a b") or pairs (["a", "b"]). name: of the file, for messages.
/// Throws ConfigError naming the kind for another one; IoError for a damaged file and for ids that do not follow from
/// the merges.
Vocabulary parse_tokenizer_json(std::string_view json, const std::string& name);

}  // namespace vitrail::data
