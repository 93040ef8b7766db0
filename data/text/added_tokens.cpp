#include "vitrail/data/text/added_tokens.h"

#include "vitrail/data/text/unicode.h"

#include <algorithm>

namespace vitrail::data {
namespace {

bool has_word_at_start(std::string_view text) {
  size_t i = 0;
  return !text.empty() && is_word_char(next_char(text, i));
}

/// The beginning of the last character. text is not empty and valid UTF-8.
size_t last_char(std::string_view text) {
  size_t i = text.size() - 1;
  while (i > 0 && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) --i;
  return i;
}

bool has_word_at_end(std::string_view text) { return !text.empty() && has_word_at_start(text.substr(last_char(text))); }

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& t) { return t.content.empty(); });
  std::sort(tokens_.begin(), tokens_.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.content < b.content; });
  for (const AddedToken& token : tokens_) {
    first_[static_cast<unsigned char>(token.content.front())] = true;
    lengths_.push_back(token.content.size());
  }
  std::sort(lengths_.begin(), lengths_.end(), std::greater<>());
  lengths_.erase(std::unique(lengths_.begin(), lengths_.end()), lengths_.end());
}

/// The longest token that text begins with, or null. Narrows the sorted tokens byte by byte.
const AddedToken* AddedTokens::longest_at(std::string_view text) const {
  const AddedToken* longest = nullptr;
  auto begin = tokens_.begin(), end = tokens_.end();
  for (size_t depth = 0; begin != end; ++depth) {
    if (begin->content.size() == depth && depth > 0) longest = &*begin++;  // the shortest of the range comes first
    if (depth == text.size()) break;
    const auto byte = [depth](const AddedToken& t) { return static_cast<unsigned char>(t.content[depth]); };
    const auto wanted = static_cast<unsigned char>(text[depth]);
    begin = std::partition_point(begin, end, [&](const AddedToken& t) { return byte(t) < wanted; });
    end = std::partition_point(begin, end, [&](const AddedToken& t) { return byte(t) == wanted; });
  }
  return longest;
}

std::vector<AddedTokens::Part> AddedTokens::split(std::string_view text) const {
  std::vector<Part> parts;
  size_t done = 0, spaces_end = 0;  // each white space is looked at once
  for (size_t i = 0; i < text.size();) {
    const AddedToken* const token = first_[static_cast<unsigned char>(text[i])] ? longest_at(text.substr(i)) : nullptr;
    if (!token) {
      ++i;
      continue;
    }
    size_t begin = i, end = i + token->content.size();
    i = end;
    if (token->single_word && (has_word_at_end(text.substr(0, begin)) || has_word_at_start(text.substr(end)))) continue;
    if (token->lstrip)
      while (begin > done) {
        size_t next = last_char(text.substr(0, begin));
        const size_t before = next;
        if (char_class(next_char(text, next)) != CharClass::space) break;
        begin = before;
      }
    if (token->rstrip) end = spaces_end = end < spaces_end ? spaces_end : end_of_space(text, end);
    if (done < begin) parts.push_back({text.substr(done, begin - done), nullptr});
    parts.push_back({text.substr(begin, end - begin), token});
    done = end;
  }
  if (done < text.size()) parts.push_back({text.substr(done), nullptr});
  return parts;
}

const AddedToken* AddedTokens::at_end_of(std::string_view text) const {
  for (const size_t length : lengths_) {
    if (length > text.size()) continue;
    const std::string_view end = text.substr(text.size() - length);
    const auto found =
        std::partition_point(tokens_.begin(), tokens_.end(), [&](const AddedToken& t) { return t.content < end; });
    if (found != tokens_.end() && found->content == end) return &*found;
  }
  return nullptr;
}

}  // namespace vitrail::data
