#include "vitrail/data/text/html.h"

#include "vitrail/data/text/html_entities.h"
#include "vitrail/data/text/unicode.h"
#include "vitrail/data/text/windows_1252.h"

#include <algorithm>
#include <optional>

namespace vitrail::data {
namespace {

const HtmlEntity* find_entity(std::string_view name) {
  const auto all = html_entities();
  const auto found = std::lower_bound(all.begin(), all.end(), name,
                                      [](const HtmlEntity& e, std::string_view n) { return e.name < n; });
  return found != all.end() && found->name == name ? &*found : nullptr;
}

bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }
bool is_alphanumeric(char32_t c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::optional<uint32_t> hex_digit(char32_t c) {
  if (is_digit(c)) return uint32_t(c - '0');
  const char32_t lower = c | 0x20;
  return lower >= 'a' && lower <= 'f' ? std::optional(uint32_t(lower - 'a') + 10) : std::nullopt;
}

/// The character of a numbered reference; nothing for characters that text cannot hold, such as control characters.
std::optional<char32_t> numbered_char(uint32_t number) {
  if (number == 0 || number > 0x10FFFF || (number >= 0xD800 && number <= 0xDFFF)) return kReplacement;
  if (number >= 0x80 && number <= 0x9F) return windows_1252(char32_t(number));
  const bool control = number <= 0x08 || number == 0x0B || (number >= 0x0E && number <= 0x1F) || number == 0x7F;
  const bool no_character = (number >= 0xFDD0 && number <= 0xFDEF) || (number & 0xFFFE) == 0xFFFE;
  if (control || no_character) return std::nullopt;
  return number;
}

/// Reads "#123;" or "#x1F;" at the beginning of text. Returns how many characters it has, 0 if there is none.
size_t read_number(std::u32string_view text, References which, std::u32string& out) {
  const bool hex = text.size() > 1 && (text[1] == 'x' || text[1] == 'X');
  const size_t begin = hex ? 2 : 1;
  constexpr uint32_t kTooLarge = 0x110000;
  uint32_t number = 0;
  size_t i = begin;
  for (; i < text.size(); ++i) {
    const auto digit = hex_digit(text[i]);
    if (!digit || (!hex && *digit > 9)) break;
    number = std::min(number * (hex ? 16 : 10) + *digit, kTooLarge);
  }
  const bool terminated = i < text.size() && text[i] == ';';
  if (i == begin || (which == References::terminated && !terminated)) return 0;
  if (const auto c = numbered_char(number)) out.push_back(*c);
  return i + (terminated ? 1 : 0);
}

/// Reads "eacute;" or "eacute" at the beginning of text, else the longest old name that it begins with.
size_t read_name(std::u32string_view text, References which, std::u32string& out) {
  constexpr size_t kLongest = 32;
  std::string name;
  while (name.size() < std::min(kLongest, text.size()) && is_alphanumeric(text[name.size()]))
    name.push_back(char(text[name.size()]));
  const auto put = [&](const HtmlEntity& e) {
    out.push_back(e.chars[0]);
    if (e.chars[1]) out.push_back(e.chars[1]);
  };
  if (name.size() < text.size() && text[name.size()] == ';') {
    if (const HtmlEntity* e = find_entity(name)) {
      put(*e);
      return name.size() + 1;
    }
  }
  for (; which == References::all && name.size() >= 2; name.pop_back()) {
    const HtmlEntity* e = find_entity(name);
    if (e == nullptr || !e->bare) continue;
    put(*e);
    return name.size();
  }
  return 0;
}

}  // namespace

std::u32string unescape_html(std::u32string_view text, References which) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const char32_t c = text[i++];
    if (c == '&' && i < text.size()) {
      const std::u32string_view rest = text.substr(i);
      const size_t length = rest[0] == '#' ? read_number(rest, which, out) : read_name(rest, which, out);
      i += length;
      if (length) continue;
    }
    out.push_back(c);
  }
  return out;
}

}  // namespace vitrail::data
