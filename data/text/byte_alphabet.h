// GPT-2's alphabet of 256 visible characters, one for each byte. Byte-level vocabularies are written in it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace vitrail::data {

/// The character of a byte. A visible character of Latin-1 stands for its own byte; the other 68 bytes have U+0100,
/// U+0101, ...
char32_t visible_char(unsigned char byte);
/// The bytes in the order of their characters, which is the order of their ids in GPT-2 and CLIP.
const std::array<unsigned char, 256>& bytes_in_order();

/// Bytes written in the alphabet, as UTF-8.
std::string visible_text(std::string_view bytes);
/// The bytes that a text in the alphabet stands for; nothing if it has a character of another one.
std::optional<std::string> visible_bytes(std::string_view text);

}  // namespace vitrail::data
