// TokenizerSettings: what the files beside a tokenizer say about it.
#pragma once

#include "vitrail/data/text/tokenizer_pipeline.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vitrail {
class Json;
}

namespace vitrail::data {

struct TokenizerSettings {
  std::optional<std::string> bos, eos, pad;  // tokens
  std::optional<bool> adds_bos, legacy;
  std::vector<int64_t> end_ids;  // eos_token_id of generation_config.json, else of config.json
  std::optional<int64_t> pad_id;
  std::vector<AddedToken> added;

  /// Reads tokenizer_config.json, special_tokens_map.json, added_tokens.json, generation_config.json and config.json of
  /// a folder, as far as they are there. Throws IoError for a damaged one.
  static TokenizerSettings read(const std::filesystem::path& folder);
  /// Adds the added tokens that parts lack, and sets bos, eos and pad. source: the folder, for messages.
  void apply(TokenizerParts& parts, const std::string& source) const;
};

/// An added token as tokenizer.json and tokenizer_config.json write it. Throws IoError naming the file.
AddedToken read_added_token(const Json& token, int64_t id, const std::string& file);

}  // namespace vitrail::data
