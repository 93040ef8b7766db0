// Splits cleaned text into words, the units of byte-pair encoding.
#pragma once

#include <string_view>

namespace vitrail::data {

inline constexpr std::string_view kStartOfText = "<|startoftext|>", kEndOfText = "<|endoftext|>";

/// Calls visit(word) for each word of text, which clean_text has made lower case, in order: one of the two names above,
/// an English contraction ('s, 't, 're, 've, 'm, 'll, 'd), a run of letters, a single digit, or a run of anything else;
/// white space is passed over. A word is a part of text. Source: the pattern in SimpleTokenizer of openai/CLIP, which
/// is that of GPT-2 (Radford et al. 2019).
template <class Visit>
void for_each_word(std::string_view text, Visit&& visit);

namespace detail {
/// The end of the word that begins at position, which is not white space.
size_t end_of_word(std::string_view text, size_t position);
size_t skip_spaces(std::string_view text, size_t position);
}  // namespace detail

template <class Visit>
void for_each_word(std::string_view text, Visit&& visit) {
  for (size_t begin = detail::skip_spaces(text, 0); begin < text.size();) {
    const size_t end = detail::end_of_word(text, begin);
    visit(text.substr(begin, end - begin));
    begin = detail::skip_spaces(text, end);
  }
}

}  // namespace vitrail::data
