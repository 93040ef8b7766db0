// WordPattern: splits text into words as the regular expressions of GPT-2, Llama 3 and Qwen2 do.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace vitrail::data {

/// The differences between the published expressions, which are otherwise one.
struct WordPattern {
  bool any_case = false;     // contractions in capitals too: 'S
  bool any_prefix = false;   // any one character that is no letter, number or line break joins the letters behind it
  size_t most_digits = 0;    // numbers are cut after so many digits; 0: never cut, and a space in front joins them
  bool line_breaks = false;  // line breaks join the punctuation or white space before them
};

/// The pattern of a known expression; nothing for another one.
std::optional<WordPattern> word_pattern(std::string_view expression);
/// GPT-2's pattern.
inline constexpr WordPattern kGpt2Words{};

/// The end of the word that begins at position, which is below text.size().
size_t end_of_word(const WordPattern& pattern, std::string_view text, size_t position);

}  // namespace vitrail::data
