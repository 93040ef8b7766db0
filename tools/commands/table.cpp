#include "tools/commands/table.h"

#include "vitrail/data/text/unicode.h"

#include <algorithm>
#include <iterator>

namespace vitrail::tools {
namespace {

struct Range {
  char32_t first, last;
};
/// Characters that combine with the one before them, or are not shown.
constexpr Range kNarrowest[] = {{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd},  {0x0610, 0x061a},
                                {0x064b, 0x065f}, {0x0900, 0x0902}, {0x093c, 0x093c},  {0x0941, 0x0948},
                                {0x0e31, 0x0e31}, {0x0e34, 0x0e3a}, {0x0e47, 0x0e4e},  {0x1ab0, 0x1aff},
                                {0x1dc0, 0x1dff}, {0x200b, 0x200f}, {0x20d0, 0x20ff},  {0xfe00, 0xfe0f},
                                {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0x1f3fb, 0x1f3ff}};
/// Characters of East Asian scripts and emoji, two columns wide. After Unicode's EastAsianWidth.
constexpr Range kWide[] = {{0x1100, 0x115f},   {0x231a, 0x231b},   {0x23e9, 0x23ec},   {0x25fd, 0x25fe},
                           {0x2614, 0x2615},   {0x2648, 0x2653},   {0x26a1, 0x26a1},   {0x26bd, 0x26be},
                           {0x2705, 0x2705},   {0x2728, 0x2728},   {0x274c, 0x274c},   {0x2753, 0x2757},
                           {0x2b50, 0x2b50},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},   {0xa960, 0xa97c},
                           {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff01, 0xff60},
                           {0xffe0, 0xffe6},   {0x1f004, 0x1f004}, {0x1f18e, 0x1f19a}, {0x1f200, 0x1f265},
                           {0x1f300, 0x1f3fa}, {0x1f400, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f7e0, 0x1f7eb},
                           {0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd}};

template <size_t n>
bool is_in(const Range (&ranges)[n], char32_t c) {
  return std::any_of(std::begin(ranges), std::end(ranges), [c](Range r) { return r.first <= c && c <= r.last; });
}

}  // namespace

size_t display_width(std::string_view text) {
  size_t width = 0;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = data::next_char(text, at);
    width += is_in(kNarrowest, c) ? 0 : is_in(kWide, c) ? 2 : 1;
  }
  return width;
}

std::string on_one_line(std::string text) {
  constexpr unsigned char kFirstShown = 0x20, kDelete = 0x7f;
  for (char& c : text)
    if (static_cast<unsigned char>(c) < kFirstShown || static_cast<unsigned char>(c) == kDelete) c = '?';
  return text;
}

std::string to_table(const std::vector<Row>& rows) {
  std::vector<size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  std::string text;
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string cell = on_one_line(row[i]), space(widths[i] - display_width(row[i]), ' ');
      text += i == 0 ? cell + space : "  " + space + cell;
    }
    text += "\n";
  }
  return text;
}

}  // namespace vitrail::tools
