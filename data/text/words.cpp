#include "vitrail/data/text/words.h"

#include "vitrail/data/text/unicode.h"

namespace vitrail::data::detail {
namespace {

/// The end of the run of characters of a class that begins at position.
size_t end_of_run(std::string_view text, size_t position, CharClass wanted) {
  while (position < text.size()) {
    size_t next = position;
    if (char_class(next_char(text, next)) != wanted) break;
    position = next;
  }
  return position;
}

}  // namespace

size_t end_of_word(std::string_view text, size_t position) {
  constexpr std::string_view kFixed[] = {kStartOfText, kEndOfText, "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
  if (text[position] == '<' || text[position] == '\'')
    for (std::string_view word : kFixed)
      if (text.substr(position).starts_with(word)) return position + word.size();
  size_t next = position;
  const CharClass kind = char_class(next_char(text, next));
  return kind == CharClass::number ? next : end_of_run(text, next, kind);
}

size_t skip_spaces(std::string_view text, size_t position) { return end_of_run(text, position, CharClass::space); }

}  // namespace vitrail::data::detail
