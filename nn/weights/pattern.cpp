#include "vitrail/nn/weights/pattern.h"

#include <algorithm>
#include <array>

namespace vitrail::nn {
namespace {

constexpr std::array<std::string_view, 2> kLeaves = {"weight", "bias"};

bool take(std::string_view& text, std::string_view beginning) {
  if (!text.starts_with(beginning)) return false;
  text.remove_prefix(beginning.size());
  return true;
}

std::string_view take_digits(std::string_view& text) {
  const size_t length = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string_view digits = text.substr(0, length);
  text.remove_prefix(length);
  return digits;
}

/// The text inside the braces that pattern begins with; pattern then starts after them.
std::string_view take_braces(std::string_view& pattern) {
  const size_t end = pattern.find('}');
  const std::string_view inside = pattern.substr(1, end - 1);
  pattern.remove_prefix(end + 1);
  return inside;
}

/// Takes the first alternative off "a,b,c".
std::string_view take_alternative(std::string_view& alternatives) {
  const size_t length = std::min(alternatives.find(','), alternatives.size());
  const std::string_view one = alternatives.substr(0, length);
  alternatives.remove_prefix(std::min(length + 1, alternatives.size()));
  return one;
}

}  // namespace

std::optional<NameMatch> match_name(std::string_view pattern, std::string_view name) {
  NameMatch match;
  while (!pattern.empty()) {
    const char c = pattern.front();
    if (c == '*' || c == '?') {
      const std::string_view digits = take_digits(name);
      if (digits.empty()) return std::nullopt;
      if (c == '*') match.block = digits;
      pattern.remove_prefix(1);
    } else if (c == '%') {
      const auto* const leaf =
          std::find_if(kLeaves.begin(), kLeaves.end(), [&](std::string_view l) { return take(name, l); });
      if (leaf == kLeaves.end()) return std::nullopt;
      match.leaf = *leaf;
      pattern.remove_prefix(1);
    } else if (c == '{') {
      std::string_view alternatives = take_braces(pattern);
      while (!take(name, take_alternative(alternatives))) {
        if (alternatives.empty()) return std::nullopt;
        ++match.part;
      }
    } else {
      if (!take(name, pattern.substr(0, 1))) return std::nullopt;
      pattern.remove_prefix(1);
    }
  }
  return name.empty() ? std::optional(match) : std::nullopt;
}

std::string fill_name(std::string_view pattern, const NameMatch& match) {
  std::string name;
  while (!pattern.empty()) {
    if (pattern.front() == '{') {
      std::string_view alternatives = take_braces(pattern);
      if (match.part == kAllParts) {
        name += "{" + std::string(alternatives) + "}";
        continue;
      }
      for (size_t i = 0; i < match.part; ++i) take_alternative(alternatives);
      name += take_alternative(alternatives);
      continue;
    }
    const char c = pattern.front();
    pattern.remove_prefix(1);
    if (c == '*')
      name += match.block;
    else if (c == '%')
      name += match.leaf;
    else
      name += c;
  }
  return name;
}

size_t parts_of(std::string_view pattern) {
  const size_t begin = pattern.find('{');
  if (begin == pattern.npos) return 0;
  return 1 + size_t(std::count(pattern.begin() + std::ptrdiff_t(begin), pattern.end(), ','));
}

}  // namespace vitrail::nn
