// Characters, UTF-8 and the Unicode rules that text for a tokenizer needs. The tables are utf8proc's (Unicode 15).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vitrail::data {

inline constexpr char32_t kReplacement = 0xFFFD;  // stands for invalid bytes

/// The classes in CLIP's pattern for words: white space, letters, numbers and the rest.
enum class CharClass : uint8_t { space, letter, number, other };
CharClass char_class(char32_t c);
/// Whether a regular expression counts it as part of a word: letters, marks, decimal digits, connectors such as "_",
/// joiners.
bool is_word_char(char32_t c);

/// The character at position; moves position past it. Invalid bytes give kReplacement, one for each longest beginning
/// of a character, as in Python and browsers. position must be below text.size().
char32_t next_char(std::string_view text, size_t& position);
/// All characters of a text, as next_char() reads them.
std::u32string decode_utf8(std::string_view text);
/// The end of the white space at position, which may be none.
size_t end_of_space(std::string_view text, size_t position);
/// UTF-8 of one character, or of all of a text.
void append_utf8(std::string& text, char32_t c);
std::string encode_utf8(std::u32string_view text);

/// Unicode's full lower-casing without a language: I with a dot becomes two characters, and a capital sigma at the end
/// of a word is a final sigma.
std::u32string to_lower(std::u32string_view text);
/// Canonical composition (NFC). Time is linear but for sorting runs of combining marks.
std::u32string to_nfc(std::u32string_view text);
/// The compatibility composition (NFKC) of one character.
std::u32string to_nfkc(char32_t c);

}  // namespace vitrail::data
