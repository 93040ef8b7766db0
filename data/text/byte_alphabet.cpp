#include "vitrail/data/text/byte_alphabet.h"

#include "vitrail/data/text/unicode.h"

namespace vitrail::data {
namespace {

constexpr bool is_visible(int byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
}

constexpr size_t kAlphabetEnd = 0x100 + 68;  // no character of the alphabet is above

struct Alphabet {
  Alphabet() {
    bytes.fill(-1);
    size_t n = 0;
    char32_t next = 0x100;
    for (const bool visible : {true, false})
      for (int b = 0; b < 256; ++b)
        if (is_visible(b) == visible) {
          chars[size_t(b)] = visible ? char32_t(b) : next++;
          bytes[chars[size_t(b)]] = b;
          order[n++] = static_cast<unsigned char>(b);
        }
  }
  std::array<char32_t, 256> chars;
  std::array<int, kAlphabetEnd> bytes;  // by character
  std::array<unsigned char, 256> order;
};

const Alphabet& alphabet() {
  static const Alphabet a;
  return a;
}

}  // namespace

char32_t visible_char(unsigned char byte) { return alphabet().chars[byte]; }

const std::array<unsigned char, 256>& bytes_in_order() { return alphabet().order; }

std::string visible_text(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) append_utf8(text, visible_char(static_cast<unsigned char>(byte)));
  return text;
}

std::optional<std::string> visible_bytes(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size();) {
    const char32_t c = next_char(text, i);
    if (c >= kAlphabetEnd || alphabet().bytes[c] < 0) return std::nullopt;
    bytes.push_back(char(alphabet().bytes[c]));
  }
  return bytes;
}

}  // namespace vitrail::data
