#include "vitrail/data/text/tokenizer_pipeline.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/json.h"
#include "vitrail/data/text/byte_alphabet.h"
#include "vitrail/data/text/unicode.h"

namespace vitrail::data {
namespace {

std::string bytes_of_piece(const PieceDecoder& decoder, std::string text) {
  if (decoder.visible_bytes) return visible_bytes(text).value_or(text);
  for (const Replace& replace : decoder.replacements) text = replaced(replace, text);
  if (decoder.byte_pieces)
    if (const auto byte = byte_of_piece(text)) return std::string(1, char(*byte));
  return text;
}

}  // namespace

TokenizerPipeline::TokenizerPipeline(TokenizerParts parts)
    : parts_(std::move(parts)), raw_(parts_.raw_tokens), normalized_(parts_.normalized_tokens) {
  for (const AddedToken& token : parts_.normalized_tokens)
    bytes_[token.id] = bytes_of_piece(parts_.decoder, token.content);
  for (const auto* tokens : {&parts_.raw_tokens, &parts_.normalized_tokens})
    for (const AddedToken& token : *tokens)
      if (token.special) bytes_[token.id].clear();
  for (const int64_t id : parts_.silent) bytes_[id].clear();
}

std::vector<int64_t> TokenizerPipeline::encode(std::string_view text, std::string_view before) const {
  constexpr size_t kLongest = size_t{1} << 28;  // positions in it, three times as long, fit an int32_t
  check<ConfigError>(text.size() <= kLongest, "tokenizer", "a text of {} bytes is too long; the limit is {}",
                     text.size(), kLongest);
  std::string valid;
  if (!is_utf8(text)) text = valid = encode_utf8(decode_utf8(text));

  Place place = Place::start_of_text;
  if (!before.empty()) {
    const AddedToken* const last = raw_.at_end_of(before);
    place = last ? Place::after_token : Place::inside;
    if (last && last->rstrip) text.remove_prefix(end_of_space(text, 0));
  }
  std::vector<int64_t> ids;
  PieceEncoder encoder(parts_.model);
  const std::function<void(std::string_view)> encode_piece = [&](std::string_view piece) {
    encoder.encode(piece, ids);
  };
  for (const AddedTokens::Part& raw : raw_.split(text)) {
    if (raw.token) {
      ids.push_back(raw.token->id);
    } else {
      const std::string section = normalized(parts_.normalizers, std::string(raw.text), place);
      for (const AddedTokens::Part& part : normalized_.split(section)) {
        if (part.token)
          ids.push_back(part.token->id);
        else
          for_each_piece(parts_.pre_tokenizers, part.text, place, encode_piece);
        place = Place::after_token;
      }
    }
    place = Place::after_token;
  }
  return ids;
}

std::string TokenizerPipeline::piece(int64_t id) const {
  const std::string* const text = parts_.model.pieces.text_of(id);
  check<ConfigError>(text != nullptr, "tokenizer", "id {} has no token; the vocabulary ends at {}", id, size());
  return *text;
}

std::optional<int64_t> TokenizerPipeline::id_of(std::string_view piece) const {
  return parts_.model.pieces.id_of(piece);
}

std::string TokenizerPipeline::bytes_of(int64_t id) const {
  std::string text = piece(id);
  const auto own = bytes_.find(id);
  return own == bytes_.end() ? bytes_of_piece(parts_.decoder, std::move(text)) : own->second;
}

}  // namespace vitrail::data
