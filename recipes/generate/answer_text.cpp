#include "vitrail/recipes/generate/answer_text.h"

#include "vitrail/core/error.h"

#include <algorithm>

namespace vitrail::recipes {

AnswerText::AnswerText(const data::LanguageTokenizer& tokenizer, std::vector<std::string> stop_strings, bool continues)
    : decoder_(tokenizer, continues), stop_strings_(std::move(stop_strings)) {
  for (const std::string& stop : stop_strings_)
    check<ConfigError>(!stop.empty(), "generate", "a stop string is empty; give at least one character");
}

std::string AnswerText::add(int64_t id) { return stopped_ ? "" : release(decoder_.add(id), false); }

std::string AnswerText::finish() { return stopped_ ? "" : release(decoder_.finish(), true); }

std::string AnswerText::release(const std::string& text, bool last) {
  held_ += text;
  size_t end = held_.size();
  for (const std::string& stop : stop_strings_)
    if (const size_t at = held_.find(stop); at != std::string::npos) {
      stopped_ = true;
      end = std::min(end, at);
    }
  if (!stopped_ && !last)
    for (const std::string& stop : stop_strings_)
      for (size_t n = std::min(stop.size() - 1, held_.size()); n > 0; --n)
        if (held_.ends_with(stop.substr(0, n))) {
          end = std::min(end, held_.size() - n);
          break;
        }
  std::string certain = held_.substr(0, end);
  held_.erase(0, end);
  return certain;
}

}  // namespace vitrail::recipes
