#include "vitrail/data/text/unicode.h"

#include "vitrail/core/error.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

namespace vitrail::data {
namespace {

constexpr char32_t kLastChar = 0x10FFFF;

bool is_surrogate(char32_t c) { return c >= 0xD800 && c <= 0xDFFF; }
bool is_continuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

CharClass look_up(char32_t c) {
  if (is_space(c)) return CharClass::space;
  switch (utf8proc_category(utf8proc_int32_t(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return CharClass::letter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return CharClass::number;
    default:
      return CharClass::other;
  }
}

/// Word_Break's MidLetter, MidNumLet and Single_Quote: between the letters of a word they do not end it.
bool is_inside_word(char32_t c) {
  constexpr char32_t kMid[] = {'\'',   '.',    ':',    0xB7,   0x387,  0x55F,  0x5F4,  0x2018, 0x2019,
                               0x2024, 0x2027, 0xFE13, 0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};
  return std::find(std::begin(kMid), std::end(kMid), c) != std::end(kMid);
}

bool is_case_ignorable(char32_t c) {
  switch (utf8proc_category(utf8proc_int32_t(c))) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return is_inside_word(c);
  }
}

bool is_cased(char32_t c) {
  switch (utf8proc_category(utf8proc_int32_t(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
      return true;
    default:  // Other_Lowercase and Other_Uppercase: ordinals, Roman numerals, letters in circles and squares
      return c == 0xAA || c == 0xBA || (c >= 0x2160 && c <= 0x217F) || (c >= 0x24B6 && c <= 0x24E9) ||
             (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
  }
}

/// For each position, whether the nearest character before it that is not case-ignorable is cased. Final_Sigma (Unicode
/// Standard, section 3.13) needs this in both directions; for the backward direction, callers pass the text reversed.
template <class Iterator>
std::vector<bool> cased_before(Iterator begin, Iterator end) {
  std::vector<bool> result;
  result.reserve(size_t(end - begin));
  bool cased = false;
  for (; begin != end; ++begin) {
    result.push_back(cased);
    if (!is_case_ignorable(*begin)) cased = is_cased(*begin);
  }
  return result;
}

/// Composes the characters of utf8proc's buffer wherever a composition exists.
std::u32string composed(std::vector<utf8proc_int32_t>& chars, int options) {
  const auto n = utf8proc_normalize_utf32(chars.data(), utf8proc_ssize_t(chars.size()), utf8proc_option_t(options));
  check<OutOfMemory>(n >= 0, "unicode", "utf8proc: {}", n < 0 ? utf8proc_errmsg(n) : "");
  return {chars.begin(), chars.begin() + n};
}

/// Appends the decomposition of c.
void decompose(char32_t c, int options, std::vector<utf8proc_int32_t>& chars) {
  std::array<utf8proc_int32_t, 32> parts;  // the longest compatibility decomposition has 18
  int last_class = 0;
  const auto n = utf8proc_decompose_char(utf8proc_int32_t(c), parts.data(), utf8proc_ssize_t(parts.size()),
                                         utf8proc_option_t(options), &last_class);
  check<OutOfMemory>(n >= 0 && size_t(n) <= parts.size(), "unicode", "U+{} does not decompose", uint32_t(c));
  chars.insert(chars.end(), parts.begin(), parts.begin() + n);
}

int combining_class(utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; }

}  // namespace

CharClass char_class(char32_t c) {
  static const auto latin = [] {
    std::array<CharClass, 0x100> table{};
    for (char32_t i = 0; i < table.size(); ++i) table[i] = look_up(i);
    return table;
  }();
  return c < latin.size() ? latin[c] : look_up(c);
}

bool is_word_char(char32_t c) {
  switch (utf8proc_category(utf8proc_int32_t(c))) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return c == 0x200C || c == 0x200D || char_class(c) == CharClass::letter;  // joiners
  }
}

char32_t next_char(std::string_view text, size_t& position) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(position++);
  if (first < 0x80) return first;
  const int more = first >= 0xC2 && first < 0xE0   ? 1
                   : first >= 0xE0 && first < 0xF0 ? 2
                   : first >= 0xF0 && first < 0xF5 ? 3
                                                   : 0;
  if (more == 0) return kReplacement;
  char32_t c = first & (0x3Fu >> more);
  for (int i = 0; i < more; ++i) {
    if (position == text.size() || !is_continuation(byte(position))) return kReplacement;
    const char32_t next = (c << 6) | (byte(position) & 0x3Fu);
    // The second byte decides whether the character is written too long, a surrogate or beyond the last.
    const bool wrong = i == 0 && ((more == 2 && (next < 0x20 || (next >= 0x360 && next <= 0x37F))) ||
                                  (more == 3 && (next < 0x10 || next > 0x10F)));
    if (wrong) return kReplacement;
    c = next;
    ++position;
  }
  return c;
}

size_t end_of_space(std::string_view text, size_t position) {
  for (size_t next = position; position < text.size(); position = next)
    if (char_class(next_char(text, next)) != CharClass::space) break;
  return position;
}

std::u32string decode_utf8(std::string_view text) {
  std::u32string chars;
  chars.reserve(text.size());
  for (size_t i = 0; i < text.size();) chars.push_back(next_char(text, i));
  return chars;
}

void append_utf8(std::string& text, char32_t c) {
  if (c > kLastChar || is_surrogate(c)) c = kReplacement;
  utf8proc_uint8_t bytes[4];
  const auto size = utf8proc_encode_char(utf8proc_int32_t(c), bytes);
  text.append(reinterpret_cast<const char*>(bytes), size_t(size));
}

std::string encode_utf8(std::u32string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (char32_t c : text) append_utf8(bytes, c);
  return bytes;
}

std::u32string to_lower(std::u32string_view text) {
  constexpr char32_t kCapitalSigma = 0x3A3, kSigma = 0x3C3, kFinalSigma = 0x3C2, kDottedI = 0x130, kDotAbove = 0x307;
  std::vector<bool> before, after_reversed;
  if (text.find(kCapitalSigma) != text.npos) {
    before = cased_before(text.begin(), text.end());
    after_reversed = cased_before(text.rbegin(), text.rend());
  }
  std::u32string lower;
  lower.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c == kCapitalSigma) {
      lower.push_back(before[i] && !after_reversed[text.size() - 1 - i] ? kFinalSigma : kSigma);
    } else if (c == kDottedI) {
      lower.append({U'i', kDotAbove});
    } else if (c < 0x80) {
      lower.push_back(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    } else {
      lower.push_back(char32_t(utf8proc_tolower(utf8proc_int32_t(c))));
    }
  }
  return lower;
}

std::u32string to_nfc(std::u32string_view text) {
  constexpr char32_t kFirstMark = 0x300;  // no character before it is changed or reordered
  if (std::all_of(text.begin(), text.end(), [](char32_t c) { return c < kFirstMark; })) return std::u32string(text);
  constexpr int kOptions = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
  std::vector<utf8proc_int32_t> chars;
  chars.reserve(text.size());
  for (char32_t c : text) decompose(c, kOptions, chars);
  for (auto begin = chars.begin(); begin != chars.end();) {  // marks in the order of their classes
    if (combining_class(*begin) == 0) {
      ++begin;
      continue;
    }
    const auto end = std::find_if(begin, chars.end(), [](utf8proc_int32_t c) { return combining_class(c) == 0; });
    std::stable_sort(begin, end,
                     [](utf8proc_int32_t a, utf8proc_int32_t b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
  return composed(chars, kOptions);
}

std::u32string to_nfkc(char32_t c) {
  constexpr int kOptions = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
  std::vector<utf8proc_int32_t> chars;
  decompose(c, kOptions, chars);
  return composed(chars, kOptions);
}

}  // namespace vitrail::data
