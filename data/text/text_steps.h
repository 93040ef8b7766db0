// What a tokenizer does with a text before it looks for tokens: normalizers change the text, pre-tokenizers split it.
// Names and meanings are those of Hugging Face's tokenizers.
#pragma once

#include "vitrail/data/text/word_pattern.h"

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace vitrail::data {

/// Where a part of a text stands. Decides whether a space is put in front.
enum class Place { start_of_text, after_token, inside };

struct Nfc {};
/// Puts text in front of a part that is not empty. once: only at the start of a text.
struct Prepend {
  std::string text;
  bool once = false;
};
struct Replace {
  std::string from, to;  // from is not empty
};
std::string replaced(const Replace& replace, std::string_view text);
/// Removes spaces at both ends and makes one space of several.
struct CollapseSpaces {};
using Normalizer = std::variant<Nfc, Prepend, Replace, CollapseSpaces>;

/// The text after all normalizers.
std::string normalized(const std::vector<Normalizer>& normalizers, std::string text, Place place);

/// Replaces spaces by a visible character and puts one in front. split: each one begins a new piece.
struct Metaspace {
  enum class Scheme { never, first, always };
  std::string replacement;
  Scheme scheme = Scheme::always;
  bool split = true;
};
/// Each digit alone, or each run of digits.
struct Digits {
  bool individual = false;
};
/// Splits at a text, which ends the piece before it, begins the piece behind it, or is a piece.
struct SplitText {
  enum class Delimiter { with_previous, with_next, isolated };
  std::string text;  // not empty
  Delimiter delimiter = Delimiter::isolated;
};
/// Puts a space in front of a piece that has none.
struct PrefixSpace {};
using PreTokenizer = std::variant<Metaspace, Digits, SplitText, WordPattern, PrefixSpace>;

/// Calls visit for each piece of a text, in order.
void for_each_piece(const std::vector<PreTokenizer>& pre_tokenizers, std::string_view text, Place place,
                    const std::function<void(std::string_view)>& visit);

}  // namespace vitrail::data
