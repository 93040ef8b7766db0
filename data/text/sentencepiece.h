// Vocabularies of SentencePiece (tokenizer.model) and of llama2.c (tokenizer.bin), which is made of one.
#pragma once

#include "vitrail/data/text/tokenizer_pipeline.h"

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace vitrail::data {

/// What Hugging Face's settings beside a tokenizer.model may change.
struct SentencePieceOptions {
  bool space_after_tokens = true;  // a space is put in front of the text after each special token too ("legacy")
};

/// Parses a tokenizer.model, a BPE with bytes for unknown characters or a token for them.
/// Throws IoError for a damaged file; ConfigError naming what is not supported: unigram models, normalizers that
/// change characters.
TokenizerParts parse_sentencepiece(std::span<const std::byte> bytes, const std::string& name,
                                   const SentencePieceOptions& options = {});

/// Parses a tokenizer.bin. Special tokens in a text are not recognised, as in llama2.c.
/// Throws IoError for a damaged file.
TokenizerParts parse_llama2c_tokenizer(std::span<const std::byte> bytes, const std::string& name);

}  // namespace vitrail::data
