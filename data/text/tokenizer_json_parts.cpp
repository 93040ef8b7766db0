#include "vitrail/data/text/tokenizer_json_parts.h"

#include "vitrail/core/error.h"

namespace vitrail::data {

Json parse_tokenizer_file(std::string_view text, const std::string& name) {
  try {
    return Json::parse(text);
  } catch (const JsonError& e) {
    fail<IoError>("tokenizer", "{}: {}", name, e.reason());
  }
}

std::string text_of(const Json& object, std::string_view key) {
  const Json* const value = object.find(key);
  return value && value->is_string() ? value->as_string() : "";
}

std::pair<std::string, std::string> read_merge(const Json& merge, const std::string& name, size_t number) {
  if (merge.is_string()) {
    const std::string& text = merge.as_string();
    const size_t space = text.find(' ');
    if (space != text.npos && space > 0 && space + 1 < text.size() && text.find(' ', space + 1) == text.npos)
      return {text.substr(0, space), text.substr(space + 1)};
  }
  if (merge.is_array() && merge.as_array().size() == 2 && merge.as_array()[0].is_string() &&
      merge.as_array()[1].is_string())
    return {merge.as_array()[0].as_string(), merge.as_array()[1].as_string()};
  fail<IoError>("tokenizer", "{}: merge {} is {}; it must be two symbols", name, number, merge.excerpt());
}

}  // namespace vitrail::data
