#include "vitrail/data/text/text_steps.h"

#include "vitrail/data/text/unicode.h"

#include <algorithm>
#include <span>

namespace vitrail::data {
namespace {

void normalize(const Nfc&, std::string& text, Place) {
  if (std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
    text = encode_utf8(to_nfc(decode_utf8(text)));
}

void normalize(const Prepend& prepend, std::string& text, Place place) {
  const bool wanted = place == Place::start_of_text || (place == Place::after_token && !prepend.once);
  if (wanted && !text.empty()) text.insert(0, prepend.text);
}

void normalize(const Replace& replace, std::string& text, Place) { text = replaced(replace, text); }

void normalize(const CollapseSpaces&, std::string& text, Place place) {
  std::string result;
  for (const char c : text)
    if (c != ' ' || (result.empty() ? place == Place::inside : result.back() != ' ')) result.push_back(c);
  if (result.ends_with(' ')) result.pop_back();
  text = std::move(result);
}

using PieceVisit = std::function<void(std::string_view)>;
using PreTokenizersBehind = std::span<const PreTokenizer>;

/// Passes pieces on to the pre-tokenizers behind. Only the first piece keeps the place of the text.
class PieceSink {
 public:
  PieceSink(PreTokenizersBehind rest, Place place, const PieceVisit& visit)
      : rest_(rest), place_(place), visit_(visit) {}
  void add(std::string_view piece);

 private:
  PreTokenizersBehind rest_;
  Place place_;
  const PieceVisit& visit_;
};

void split(const Metaspace& metaspace, std::string_view text, Place place, PieceSink& pieces) {
  std::string marked = replaced({" ", metaspace.replacement}, text);
  const bool wanted = metaspace.scheme == Metaspace::Scheme::always  ? place != Place::inside
                      : metaspace.scheme == Metaspace::Scheme::first ? place == Place::start_of_text
                                                                     : false;
  if (wanted && !marked.starts_with(metaspace.replacement)) marked.insert(0, metaspace.replacement);
  if (!metaspace.split) return pieces.add(marked);
  const std::string_view all = marked;
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = std::min(all.find(metaspace.replacement, begin + 1), all.size());
    pieces.add(all.substr(begin, end - begin));
    begin = end;
  }
}

void split(const Digits& digits, std::string_view text, Place, PieceSink& pieces) {
  const auto is_digit = [](char32_t c) { return char_class(c) == CharClass::number; };
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    const bool digit = is_digit(next_char(text, end));
    for (size_t next = end; end < text.size() && !(digit && digits.individual); end = next)
      if (is_digit(next_char(text, next)) != digit) break;
    pieces.add(text.substr(begin, end - begin));
    begin = end;
  }
}

void split(const SplitText& delimiter, std::string_view text, Place, PieceSink& pieces) {
  using Delimiter = SplitText::Delimiter;
  const size_t length = delimiter.text.size();
  size_t begin = 0;
  const auto cut = [&](size_t end) {
    if (begin < end) pieces.add(text.substr(begin, end - begin));
    begin = end;
  };
  for (size_t at = 0; (at = text.find(delimiter.text, at)) != text.npos; at += length) {
    if (delimiter.delimiter != Delimiter::with_previous) cut(at);
    if (delimiter.delimiter != Delimiter::with_next) cut(at + length);
  }
  cut(text.size());
}

void split(const WordPattern& pattern, std::string_view text, Place, PieceSink& pieces) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = end_of_word(pattern, text, begin);
    pieces.add(text.substr(begin, end - begin));
    begin = end;
  }
}

void split(const PrefixSpace&, std::string_view text, Place place, PieceSink& pieces) {
  if (text.starts_with(' ') || place == Place::inside) return pieces.add(text);
  pieces.add(" " + std::string(text));
}

void PieceSink::add(std::string_view piece) {
  if (piece.empty()) return;
  if (rest_.empty()) {
    visit_(piece);
  } else {
    PieceSink behind(rest_.subspan(1), place_, visit_);
    std::visit([&](const auto& step) { split(step, piece, place_, behind); }, rest_.front());
  }
  place_ = Place::after_token;
}

}  // namespace

std::string replaced(const Replace& replace, std::string_view text) {
  std::string result;
  result.reserve(text.size());
  size_t done = 0;
  for (size_t at; (at = text.find(replace.from, done)) != text.npos; done = at + replace.from.size())
    result.append(text.substr(done, at - done)).append(replace.to);
  return result.append(text.substr(done));
}

std::string normalized(const std::vector<Normalizer>& normalizers, std::string text, Place place) {
  for (const Normalizer& normalizer : normalizers)
    std::visit([&](const auto& step) { normalize(step, text, place); }, normalizer);
  return text;
}

void for_each_piece(const std::vector<PreTokenizer>& pre_tokenizers, std::string_view text, Place place,
                    const std::function<void(std::string_view)>& visit) {
  PieceSink(pre_tokenizers, place, visit).add(text);
}

}  // namespace vitrail::data
