#include "vitrail/data/text/word_pattern.h"

#include "vitrail/data/text/unicode.h"

namespace vitrail::data {
namespace {

bool is_line_end(char c) { return c == '\r' || c == '\n'; }

struct Known {
  std::string_view expression;
  WordPattern pattern;
};

/// The expressions as they stand in tokenizer.json.
constexpr Known kKnown[] = {
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", kGpt2Words},
    {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", kGpt2Words},
    // Qwen2
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {true, true, 1, true}},
    // Llama 3, GPT-4
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {true, true, 3, true}},
};

/// The length of the contraction at the beginning of text, or 0.
size_t contraction(std::string_view text, bool any_case) {
  constexpr std::string_view kLongS = "'\u017F";  // the small letter of S too
  if (any_case && text.starts_with(kLongS)) return kLongS.size();
  for (const std::string_view known : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (text.size() < known.size()) continue;
    bool equal = true;
    for (size_t i = 0; i < known.size(); ++i) {
      const char c = any_case && text[i] >= 'A' && text[i] <= 'Z' ? char(text[i] + ('a' - 'A')) : text[i];
      equal = equal && c == known[i];
    }
    if (equal) return known.size();
  }
  return 0;
}

/// The end of the run of characters of a class that begins at position; of at most so many characters.
size_t end_of_class(std::string_view text, size_t position, CharClass wanted, size_t most = size_t(-1)) {
  while (position < text.size() && most-- > 0) {
    size_t next = position;
    if (char_class(next_char(text, next)) != wanted) break;
    position = next;
  }
  return position;
}

/// The end of the white space at position, which is as long as the pattern allows: up to its last line break, else
/// without the last character, which belongs to the word behind it.
size_t end_of_spaces(const WordPattern& pattern, std::string_view text, size_t position) {
  size_t last = position, line_end = 0, end = position;
  for (size_t next = position; next < text.size();) {
    const size_t begin = next;
    if (char_class(next_char(text, next)) != CharClass::space) break;
    if (is_line_end(text[begin])) line_end = next;
    last = begin;
    end = next;
  }
  if (pattern.line_breaks && line_end > 0) return line_end;
  return end == text.size() || last == position ? end : last;
}

}  // namespace

std::optional<WordPattern> word_pattern(std::string_view expression) {
  for (const Known& known : kKnown)
    if (known.expression == expression) return known.pattern;
  return std::nullopt;
}

size_t end_of_word(const WordPattern& pattern, std::string_view text, size_t position) {
  if (text[position] == '\'')
    if (const size_t length = contraction(text.substr(position), pattern.any_case)) return position + length;

  size_t next = position;
  const CharClass kind = char_class(next_char(text, next));
  const CharClass following = [&] {
    size_t after = next;
    return next < text.size() ? char_class(next_char(text, after)) : CharClass::space;
  }();
  const bool is_space_sign = text[position] == ' ';
  const bool joins_letters =
      pattern.any_prefix ? kind != CharClass::number && !is_line_end(text[position]) : is_space_sign;
  if (kind == CharClass::letter || (joins_letters && following == CharClass::letter))
    return end_of_class(text, next, CharClass::letter);
  if (pattern.most_digits > 0) {
    if (kind == CharClass::number) return end_of_class(text, position, CharClass::number, pattern.most_digits);
  } else if (kind == CharClass::number || (is_space_sign && following == CharClass::number)) {
    return end_of_class(text, next, CharClass::number);
  }
  if (kind == CharClass::other || (is_space_sign && following == CharClass::other)) {
    size_t end = end_of_class(text, next, CharClass::other);
    if (pattern.line_breaks)
      while (end < text.size() && is_line_end(text[end])) ++end;
    return end;
  }
  return end_of_spaces(pattern, text, position);
}

}  // namespace vitrail::data
