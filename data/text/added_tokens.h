// AddedTokens: finds tokens that are kept whole, such as "<image>" and "</s>", in a text.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

/// A token that is added to a vocabulary, with the settings of Hugging Face's tokenizers.
struct AddedToken {
  std::string content;
  int64_t id = 0;
  bool special = false;      // has no text
  bool normalized = false;   // is looked for in normalized text
  bool lstrip = false;       // takes the white space on its left
  bool rstrip = false;       // takes the white space on its right
  bool single_word = false;  // only between characters that are not part of a word
};

/// The longest token that begins leftmost, then again behind it, as in Hugging Face's tokenizers.
class AddedTokens final {
 public:
  /// A part of a text: a token, or the text between two.
  struct Part {
    std::string_view text;
    const AddedToken* token = nullptr;
  };

  AddedTokens() = default;
  explicit AddedTokens(std::vector<AddedToken> tokens);

  /// The parts of a text in order; none is empty. They live as long as text and this object.
  std::vector<Part> split(std::string_view text) const;
  /// The token that ends a text, or null.
  const AddedToken* at_end_of(std::string_view text) const;

 private:
  const AddedToken* longest_at(std::string_view text) const;

  std::vector<AddedToken> tokens_;  // by content
  std::array<bool, 256> first_{};   // the first bytes of tokens
  std::vector<size_t> lengths_;     // of all tokens, the longest first
};

}  // namespace vitrail::data
