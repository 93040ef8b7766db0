#include "vitrail/data/text/token_model.h"

#include "vitrail/core/error.h"
#include "vitrail/data/text/byte_alphabet.h"
#include "vitrail/data/text/unicode.h"

namespace vitrail::data {

void Pieces::add(std::string text, int64_t id, bool merges, const std::string& source) {
  check<IoError>(id >= 0 && id < kMostTokens, "tokenizer", "{}: '{}' has id {}; ids lie in [0, {})", source, text, id,
                 kMostTokens);
  if (size() <= id) texts_.resize(size_t(id) + 1);
  const std::string*& known = texts_[size_t(id)];
  check<IoError>(!known || *known == text, "tokenizer", "{}: '{}' and '{}' both have id {}", source,
                 known ? *known : "", text, id);
  const auto [entry, is_new] = entries_.emplace(std::move(text), Entry{int32_t(id), merges});
  check<IoError>(is_new || entry->second.id == id, "tokenizer", "{}: '{}' has two ids, {} and {}", source, entry->first,
                 entry->second.id, id);
  known = &entry->first;
}

std::optional<int32_t> Pieces::id_of(std::string_view text) const {
  const auto found = entries_.find(text);
  return found == entries_.end() ? std::nullopt : std::optional(found->second.id);
}

std::optional<int32_t> Pieces::merged_id_of(std::string_view text) const {
  const auto found = entries_.find(text);
  return found == entries_.end() || !found->second.merges ? std::nullopt : std::optional(found->second.id);
}

const std::string* Pieces::text_of(int64_t id) const { return id >= 0 && id < size() ? texts_[size_t(id)] : nullptr; }

std::string byte_piece(unsigned char byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">";
}

std::optional<unsigned char> byte_of_piece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return std::nullopt;
  int value = 0;
  for (const char c : piece.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                             : -1;
    if (digit < 0) return std::nullopt;
    value = value * 16 + digit;
  }
  return static_cast<unsigned char>(value);
}

void PieceEncoder::encode(std::string_view piece, std::vector<int64_t>& ids) {
  if (model_.whole_first) {
    if (const auto id = model_.pieces.merged_id_of(model_.over_bytes ? visible_text(piece) : std::string(piece)))
      return ids.push_back(*id);
  }
  symbols_.clear();
  after_unknown_ = false;
  if (model_.over_bytes) {
    for (const char byte : piece) add_byte(static_cast<unsigned char>(byte));
  } else {
    for (size_t begin = 0, end = 0; begin < piece.size(); begin = end) {
      next_char(piece, end);
      add_char(piece.substr(begin, end - begin));
    }
  }
  merger_.merge(symbols_, ids);
}

void PieceEncoder::add_char(std::string_view c) {
  if (const auto id = model_.pieces.merged_id_of(c)) {
    symbols_.push_back(*id);
    after_unknown_ = false;
  } else if (model_.bytes[0] != BytePairModel::kNone) {
    for (const char byte : c) add_byte(static_cast<unsigned char>(byte));
  } else {
    add_unknown();
  }
}

void PieceEncoder::add_byte(unsigned char byte) {
  if (model_.bytes[byte] == BytePairModel::kNone) return add_unknown();
  symbols_.push_back(model_.bytes[byte]);
  after_unknown_ = false;
}

void PieceEncoder::add_unknown() {
  if (model_.unknown != BytePairModel::kNone && !(after_unknown_ && model_.fuse_unknown))
    symbols_.push_back(model_.unknown);
  after_unknown_ = true;
}

}  // namespace vitrail::data
