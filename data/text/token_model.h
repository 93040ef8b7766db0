// TokenModel: the vocabulary of a language model and its byte-pair encoding.
#pragma once

#include "vitrail/data/text/byte_pairs.h"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace vitrail::data {

/// Ids below this one are taken. The largest published vocabularies have 262,144 tokens.
inline constexpr int64_t kMostTokens = int64_t{1} << 21;

/// The tokens of a vocabulary by id and by text. Some ids may have no token.
class Pieces final {
 public:
  /// merges: the encoding makes the token; otherwise it only stands for itself, as "<image>" and "</s>" do. A token
  /// that is there already stays as it is. source: the file, for messages. Throws IoError if the id is outside of [0,
  /// kMostTokens), has another token, or the text has another id.
  void add(std::string text, int64_t id, bool merges, const std::string& source);

  /// One more than the largest id.
  int64_t size() const { return int64_t(texts_.size()); }
  std::optional<int32_t> id_of(std::string_view text) const;
  /// The same for the tokens that the encoding makes.
  std::optional<int32_t> merged_id_of(std::string_view text) const;
  /// Null if the id has no token.
  const std::string* text_of(int64_t id) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct Entry {
    int32_t id;
    bool merges;
  };
  std::unordered_map<std::string, Entry, Hash, std::equal_to<>> entries_;
  std::vector<const std::string*> texts_;  // by id: keys of entries_
};

/// "<0x0A>", the token of a byte.
std::string byte_piece(unsigned char byte);
/// The byte of such a token; nothing for another text.
std::optional<unsigned char> byte_of_piece(std::string_view piece);

/// A byte-pair encoding over characters or over bytes.
struct BytePairModel {
  static constexpr int32_t kNone = -1;

  Pieces pieces;
  MergeTable merges;
  bool over_bytes = false;           // the first symbols are bytes; else characters, and bytes of unknown ones
  std::array<int32_t, 256> bytes{};  // the token of each byte, or kNone
  int32_t unknown = kNone;           // the token of a character that has none; kNone: it is left out
  bool fuse_unknown = false;         // one token for neighbouring ones
  bool whole_first = false;          // a piece that is a token is not split
};

/// Encodes pieces with a model, one after the other. Keeps its memory between them.
class PieceEncoder final {
 public:
  explicit PieceEncoder(const BytePairModel& model)
      : model_(model), merger_(model.merges, PairMerger::NewPairs::at_once) {}
  /// Appends the ids of a piece. Takes valid UTF-8.
  void encode(std::string_view piece, std::vector<int64_t>& ids);

 private:
  void add_char(std::string_view c);
  void add_byte(unsigned char byte);
  void add_unknown();

  const BytePairModel& model_;
  PairMerger merger_;
  std::vector<int32_t> symbols_;
  bool after_unknown_ = false;
};

}  // namespace vitrail::data
