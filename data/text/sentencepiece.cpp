#include "vitrail/data/text/sentencepiece.h"

#include "vitrail/core/error.h"
#include "vitrail/data/io/bytes.h"
#include "vitrail/data/text/unicode.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace vitrail::data {
namespace {

constexpr std::string_view kSpacePiece = "\u2581";
constexpr size_t kLongestPiece = 512;  // bytes; trainers make pieces of 16 characters

std::string_view as_chars(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The type of a piece, with the numbers of sentencepiece_model.proto.
enum class PieceType { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

struct ScoredPiece {
  std::string text;
  float score = 0;
  PieceType type = PieceType::normal;
};

/// Reads the fields of a protobuf message in order.
class ProtobufReader {
 public:
  ProtobufReader(std::span<const std::byte> bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  /// Moves to the next field; false at the end.
  bool next() {
    if (bytes_.empty()) return false;
    const uint64_t tag = varint();
    field_ = tag >> 3;
    switch (tag & 7) {
      case 0:
        value_ = varint();
        break;
      case 1:
        content_ = take(8);
        break;
      case 2:
        content_ = take(varint());
        break;
      case 5: {
        content_ = take(4);
        value_ = *read_uint(content_, 0, 4, ByteOrder::little);
        break;
      }
      default:
        fail<IoError>("tokenizer", "{}: is damaged: a field has the wire type {}", name_, tag & 7);
    }
    kind_ = int(tag & 7);
    return true;
  }

  uint64_t field() const { return field_; }
  /// The field as a number, a float, or bytes. Throws IoError if it is of another kind.
  int64_t number() const { return int64_t(value_of(0)); }
  bool flag() const { return value_of(0) != 0; }
  float real() const { return std::bit_cast<float>(uint32_t(value_of(5))); }
  std::span<const std::byte> bytes() const {
    value_of(2);
    return content_;
  }
  std::string text() const { return std::string(as_chars(bytes())); }

 private:
  uint64_t value_of(int kind) const {
    check<IoError>(kind_ == kind, "tokenizer", "{}: is damaged: field {} has the wire type {}, not {}", name_, field_,
                   kind_, kind);
    return value_;
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = uint64_t(take(1).front());
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    fail<IoError>("tokenizer", "{}: is damaged: a number has more than ten bytes", name_);
  }
  std::span<const std::byte> take(uint64_t count) {
    check<IoError>(count <= bytes_.size(), "tokenizer", "{}: is damaged or cut off: {} bytes are missing", name_,
                   count - std::min<uint64_t>(count, bytes_.size()));
    const auto taken = bytes_.first(size_t(count));
    bytes_ = bytes_.subspan(size_t(count));
    return taken;
  }

  std::span<const std::byte> bytes_, content_;
  const std::string& name_;
  uint64_t field_ = 0, value_ = 0;
  int kind_ = 0;
};

/// Ranks by falling score; equal scores have one rank.
std::vector<int32_t> ranks_of(const std::vector<ScoredPiece>& pieces) {
  std::vector<size_t> order(pieces.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return pieces[a].score > pieces[b].score; });
  std::vector<int32_t> ranks(pieces.size());
  for (size_t i = 1; i < order.size(); ++i)
    ranks[order[i]] = ranks[order[i - 1]] + (pieces[order[i]].score < pieces[order[i - 1]].score ? 1 : 0);
  return ranks;
}

/// Two pieces merge if both together are a piece.
MergeTable merges_of(const std::vector<ScoredPiece>& pieces, const Pieces& ids) {
  struct Found {
    int32_t left, right, id;
  };
  std::vector<Found> found;
  for (size_t id = 0; id < pieces.size(); ++id) {
    if (pieces[id].type != PieceType::normal) continue;
    const std::string_view text = pieces[id].text;
    for (size_t middle = 0; middle < text.size(); next_char(text, middle)) {
      const auto left = ids.merged_id_of(text.substr(0, middle));
      const auto right = left ? ids.merged_id_of(text.substr(middle)) : std::nullopt;
      if (right) found.push_back({*left, *right, int32_t(id)});
    }
  }
  const std::vector<int32_t> ranks = ranks_of(pieces);
  MergeTable table(found.size());
  for (const Found& f : found) table.set(f.left, f.right, {ranks[size_t(f.id)], f.id});
  return table;
}

/// The model of the pieces, whose ids are their places.
BytePairModel model_of(const std::vector<ScoredPiece>& pieces, const std::string& name) {
  BytePairModel model;
  model.bytes.fill(BytePairModel::kNone);
  model.fuse_unknown = true;
  for (size_t id = 0; id < pieces.size(); ++id) {
    const ScoredPiece& piece = pieces[id];
    check<IoError>(!piece.text.empty() && piece.text.size() <= kLongestPiece, "tokenizer",
                   "{}: piece {} has {} bytes; pieces have 1 to {}", name, id, piece.text.size(), kLongestPiece);
    check<IoError>(std::isfinite(piece.score), "tokenizer", "{}: the score of piece {} is not finite", name, id);
    model.pieces.add(piece.text, int64_t(id), piece.type == PieceType::normal, name);
    if (piece.type == PieceType::unknown) model.unknown = int32_t(id);
    if (piece.type == PieceType::byte) {
      const auto byte = byte_of_piece(piece.text);
      check<IoError>(byte.has_value(), "tokenizer", "{}: piece {}, '{}', must be a byte such as '<0x0A>'", name, id,
                     piece.text);
      model.bytes[*byte] = int32_t(id);
    }
  }
  const auto missing = std::count(model.bytes.begin(), model.bytes.end(), BytePairModel::kNone);
  check<IoError>(missing == 0 || missing == 256, "tokenizer", "{}: has {} of the 256 bytes as pieces; all are needed",
                 name, 256 - missing);
  model.merges = merges_of(pieces, model.pieces);
  return model;
}

ScoredPiece read_piece(ProtobufReader reader) {
  ScoredPiece piece;
  while (reader.next()) {
    if (reader.field() == 1) piece.text = reader.text();
    if (reader.field() == 2) piece.score = reader.real();
    if (reader.field() == 3) piece.type = PieceType(std::clamp<int64_t>(reader.number(), 0, 7));  // 0, 7: no type
  }
  return piece;
}

/// The fields of trainer_spec and normalizer_spec that matter, with their defaults.
struct SentencePieceSpec {
  int64_t model_type = 1;  // unigram
  bool space_as_suffix = false;
  int64_t bos = 1, eos = 2, pad = -1;
  std::string normalizer;
  bool changes_chars = false, dummy_prefix = true, collapse = true, escape = true;

  void read_trainer(ProtobufReader reader) {
    while (reader.next()) {
      switch (reader.field()) {
        case 3:
          model_type = reader.number();
          break;
        case 24:
          space_as_suffix = reader.flag();
          break;
        case 41:
          bos = reader.number();
          break;
        case 42:
          eos = reader.number();
          break;
        case 43:
          pad = reader.number();
          break;
        default:
          break;
      }
    }
  }
  void read_normalizer(ProtobufReader reader) {
    while (reader.next()) {
      switch (reader.field()) {
        case 1:
          normalizer = reader.text();
          break;
        case 2:
          changes_chars = !reader.bytes().empty();
          break;
        case 3:
          dummy_prefix = reader.flag();
          break;
        case 4:
          collapse = reader.flag();
          break;
        case 5:
          escape = reader.flag();
          break;
        default:
          break;
      }
    }
  }
  void expect_supported(const std::string& name) const {
    constexpr std::string_view kTypes[] = {"", "unigram", "BPE", "word", "char"};
    check<ConfigError>(model_type == 2, "tokenizer",
                       "{}: is a SentencePiece model of the type {}; only BPE is supported. A tokenizer.json, which "
                       "transformers writes, may be",
                       name, model_type > 0 && model_type < 5 ? kTypes[model_type] : "?");
    check<ConfigError>(!changes_chars, "tokenizer",
                       "{}: its normalizer '{}' replaces characters, which is not supported; 'identity' is", name,
                       normalizer);
    check<ConfigError>(!space_as_suffix && escape, "tokenizer",
                       "{}: 'treat_whitespace_as_suffix' and 'escape_whitespaces: false' are not supported", name);
  }
};

}  // namespace

TokenizerParts parse_sentencepiece(std::span<const std::byte> bytes, const std::string& name,
                                   const SentencePieceOptions& options) {
  std::vector<ScoredPiece> pieces;
  SentencePieceSpec spec;
  for (ProtobufReader reader(bytes, name); reader.next();) {
    if (reader.field() == 1) {
      check<IoError>(int64_t(pieces.size()) < kMostTokens, "tokenizer", "{}: has more than {} pieces", name,
                     kMostTokens);
      pieces.push_back(read_piece({reader.bytes(), name}));
    }
    if (reader.field() == 2) spec.read_trainer({reader.bytes(), name});
    if (reader.field() == 3) spec.read_normalizer({reader.bytes(), name});
  }
  check<IoError>(!pieces.empty(), "tokenizer", "{}: has no pieces, so it is no SentencePiece model", name);
  spec.expect_supported(name);

  TokenizerParts parts;
  parts.model = model_of(pieces, name);
  const auto is = [&](int64_t id, PieceType type) {
    return id >= 0 && id < int64_t(pieces.size()) && pieces[size_t(id)].type == type;
  };
  for (int64_t id = 0; id < int64_t(pieces.size()); ++id) {
    const ScoredPiece& piece = pieces[size_t(id)];
    const auto type = int(piece.type);
    check<ConfigError>(type >= 1 && type <= 6 && piece.type != PieceType::unused, "tokenizer",
                       "{}: piece {}, '{}', has the type {}, which is not supported", name, id, piece.text,
                       piece.type == PieceType::unused ? "UNUSED" : std::to_string(type));
    if (is(id, PieceType::control) || is(id, PieceType::unknown))
      parts.raw_tokens.push_back({.content = piece.text, .id = id, .special = true});
    if (is(id, PieceType::user_defined))
      parts.normalized_tokens.push_back({.content = piece.text, .id = id, .normalized = true});
  }
  if (is(spec.bos, PieceType::control)) parts.bos = spec.bos;
  if (is(spec.eos, PieceType::control)) parts.eos = {spec.eos};
  if (is(spec.pad, PieceType::control)) parts.pad = spec.pad;

  if (spec.collapse) parts.normalizers.emplace_back(CollapseSpaces{});
  if (spec.dummy_prefix) parts.normalizers.emplace_back(Prepend{" ", !options.space_after_tokens});
  parts.normalizers.emplace_back(Replace{" ", std::string(kSpacePiece)});
  parts.decoder = {.byte_pieces = true,
                   .replacements = {{std::string(kSpacePiece), " "}},
                   .drops_space = spec.dummy_prefix || spec.collapse};
  return parts;
}

TokenizerParts parse_llama2c_tokenizer(std::span<const std::byte> bytes, const std::string& name) {
  constexpr size_t kBos = 1, kEos = 2, kFirstByte = 3, kFirstPiece = kFirstByte + 256;
  std::vector<ScoredPiece> pieces;
  size_t at = 4;  // behind the length of the longest piece
  const auto number = [&] {
    const auto value = read_uint(bytes, at, 4, ByteOrder::little);
    check<IoError>(value.has_value(), "tokenizer", "{}: ends inside piece {}", name, pieces.size());
    at += 4;
    return *value;
  };
  while (at < bytes.size()) {
    check<IoError>(int64_t(pieces.size()) < kMostTokens, "tokenizer", "{}: has more than {} pieces", name, kMostTokens);
    ScoredPiece piece;
    piece.score = std::bit_cast<float>(number());
    const uint32_t length = number();
    check<IoError>(length <= kLongestPiece && length <= bytes.size() - at, "tokenizer",
                   "{}: piece {} has {} bytes; it must end in the file and have at most {}", name, pieces.size(),
                   length, kLongestPiece);
    piece.text = as_chars(bytes.subspan(at, length));
    at += length;
    const size_t id = pieces.size();
    if (id < kFirstByte) piece.type = id == 0 ? PieceType::unknown : PieceType::control;
    if (id >= kFirstByte && id < kFirstPiece) {
      piece.type = PieceType::byte;
      const std::string wanted = byte_piece(static_cast<unsigned char>(id - kFirstByte));
      check<IoError>(piece.text == wanted, "tokenizer", "{}: piece {} is '{}', but llama2.c's have '{}' there", name,
                     id, piece.text, wanted);
    }
    pieces.push_back(std::move(piece));
  }
  check<IoError>(pieces.size() >= kFirstPiece, "tokenizer",
                 "{}: has {} pieces; a tokenizer.bin of llama2.c begins with 259 of special tokens and bytes", name,
                 pieces.size());

  TokenizerParts parts;
  parts.model = model_of(pieces, name);
  parts.silent = {0, int64_t(kBos), int64_t(kEos)};
  parts.bos = int64_t(kBos);
  parts.eos = {int64_t(kEos), int64_t(kBos)};  // llama2.c's models end a story with the beginning of another one
  parts.normalizers.emplace_back(Prepend{" "});
  parts.decoder = {.byte_pieces = true, .replacements = {}, .drops_space = true};
  return parts;
}

}  // namespace vitrail::data
