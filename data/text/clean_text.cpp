#include "vitrail/data/text/clean_text.h"

#include "vitrail/data/text/html.h"
#include "vitrail/data/text/unicode.h"
#include "vitrail/data/text/windows_1252.h"

#include <algorithm>

namespace vitrail::data {
namespace {

/// Appends c in its usual form: ligatures split, full-width and half-width characters replaced.
void append_plain_letters(std::u32string& out, char32_t c) {
  if (c == 0xFB05) {
    out.append(U"\u017Ft");  // a long s stays one
  } else if ((c >= 0xFF01 && c <= 0xFFEF) || (c >= 0xFB00 && c <= 0xFB06) || c == 0x132 || c == 0x133 || c == 0x149 ||
             (c >= 0x1C4 && c <= 0x1CC) || (c >= 0x1F1 && c <= 0x1F3)) {
    out.append(to_nfkc(c));
  } else {
    out.push_back(c == 0x3000 ? U' ' : c);
  }
}

char32_t straight_quote(char32_t c) {
  if (c == 0x2BC || (c >= 0x2018 && c <= 0x201B)) return '\'';
  return c >= 0x201C && c <= 0x201F ? U'"' : c;
}

bool is_line_break(char32_t c) { return c == '\r' || c == 0x2028 || c == 0x2029; }

bool is_useless_control(char32_t c) {
  return c <= 0x08 || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || (c >= 0x206A && c <= 0x206F) ||
         c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

/// The length of a terminal's escape sequence at position i, "ESC [ 31 m", or 0.
size_t escape_length(std::u32string_view text, size_t i) {
  if (text[i] != 0x1B || i + 1 == text.size() || text[i + 1] != '[') return 0;
  size_t end = i + 2;
  while (end < text.size() && ((text[end] >= '0' && text[end] <= '9') || text[end] == ';')) ++end;
  const char32_t lower = end < text.size() ? text[end] | 0x20 : 0;
  return lower >= 'a' && lower <= 'z' ? end + 1 - i : 0;
}

/// One round of repairs on a line, in ftfy's order. Each repairs the whole line before the next one, because
/// they feed each other.
std::u32string repair_once(std::u32string_view line) {
  std::u32string text =
      line.find(U'<') == line.npos ? unescape_html(line, References::terminated) : std::u32string(line);
  std::u32string next;
  next.reserve(text.size());
  for (char32_t c : text) append_plain_letters(next, c >= 0x80 && c <= 0x9F ? windows_1252(c) : c);
  for (char32_t& c : next) c = straight_quote(c);

  text.clear();
  for (size_t i = 0; i < next.size(); ++i) {
    if (next[i] == '\r' && i + 1 < next.size() && next[i + 1] == '\n') continue;
    text.push_back(is_line_break(next[i]) ? U'\n' : next[i]);
  }
  next.clear();
  for (size_t i = 0; i < text.size();) {
    if (const size_t length = escape_length(text, i)) {
      i += length;
    } else {
      if (!is_useless_control(text[i])) next.push_back(text[i]);
      ++i;
    }
  }
  return to_nfc(next);
}

/// Repeats the rounds until nothing changes. Stops after a few, because references can nest without end and each round
/// reads the whole line.
std::u32string repair(std::u32string_view line) {
  constexpr int kMostRounds = 16;
  std::u32string text(line);
  for (int round = 0; round < kMostRounds; ++round) {
    std::u32string repaired = repair_once(text);
    if (repaired == text) break;
    text = std::move(repaired);
  }
  return text;
}

/// Replaces each run of white space by one space, and trims both ends.
std::u32string collapse_spaces(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (char32_t c : text) {
    if (char_class(c) != CharClass::space)
      out.push_back(c);
    else if (!out.empty() && out.back() != ' ')
      out.push_back(' ');
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string clean_unicode(std::string_view bytes) {
  const std::u32string text = decode_utf8(bytes);
  std::u32string repaired;
  repaired.reserve(text.size());
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(U'\n', begin), text.size() - 1) + 1;
    repaired += repair(std::u32string_view(text).substr(begin, end - begin));
    begin = end;
  }
  return encode_utf8(to_lower(collapse_spaces(unescape_html(unescape_html(repaired)))));
}

/// ASCII without control characters and references: nothing to repair.
bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= 0x20 && c < 0x7F && c != '&') || c == '\t' || c == '\n' || c == '\f' || c == '\r';
  });
}

std::string clean_plain(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    if (c > ' ')
      out.push_back(c >= 'A' && c <= 'Z' ? char(c + ('a' - 'A')) : c);
    else if (!out.empty() && out.back() != ' ')
      out.push_back(' ');
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace

std::string clean_text(std::string_view text) { return is_plain(text) ? clean_plain(text) : clean_unicode(text); }

}  // namespace vitrail::data
