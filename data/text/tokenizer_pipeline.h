// TokenizerPipeline: the LanguageTokenizer that every file format describes.
#pragma once

#include "vitrail/data/text/added_tokens.h"
#include "vitrail/data/text/language_tokenizer.h"
#include "vitrail/data/text/text_steps.h"
#include "vitrail/data/text/token_model.h"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace vitrail::data {

/// How tokens become text.
struct PieceDecoder {
  bool visible_bytes = false;         // a token is written in GPT-2's alphabet
  bool byte_pieces = false;           // "<0x0A>" is a byte
  std::vector<Replace> replacements;  // "▁" by a space
  bool drops_space = false;           // one space at the beginning of a text is taken away
};

/// A text goes through these in order: raw tokens are cut out, the sections between are normalized, normalized tokens
/// are cut out, the sections between are split into pieces, and the model encodes each piece.
struct TokenizerParts {
  std::vector<AddedToken> raw_tokens;
  std::vector<Normalizer> normalizers;
  std::vector<AddedToken> normalized_tokens;  // content: after normalizing; is its text too
  std::vector<PreTokenizer> pre_tokenizers;
  BytePairModel model;  // its pieces are all tokens, also the added ones
  PieceDecoder decoder;
  std::vector<int64_t> silent;  // tokens without text, besides special ones

  std::optional<int64_t> bos, pad;
  std::vector<int64_t> eos;
};

/// A tokenizer put together from the parts that its file names.
class TokenizerPipeline final : public LanguageTokenizer {
 public:
  explicit TokenizerPipeline(TokenizerParts parts);

  std::vector<int64_t> encode(std::string_view text, std::string_view before = {}) const override;
  std::string bytes_of(int64_t id) const override;
  bool adds_space() const override { return parts_.decoder.drops_space; }
  int64_t size() const override { return parts_.model.pieces.size(); }
  std::string piece(int64_t id) const override;
  std::optional<int64_t> id_of(std::string_view piece) const override;
  std::optional<int64_t> bos() const override { return parts_.bos; }
  std::vector<int64_t> eos() const override { return parts_.eos; }
  std::optional<int64_t> pad() const override { return parts_.pad; }

 private:
  TokenizerParts parts_;
  AddedTokens raw_, normalized_;
  std::unordered_map<int64_t, std::string> bytes_;  // of tokens whose text does not follow from their piece
};

}  // namespace vitrail::data
