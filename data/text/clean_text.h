// The cleaning that CLIP's captions go through before they are cut into words.
#pragma once

#include <string>
#include <string_view>

namespace vitrail::data {

/// Repairs what the web does to text, resolves HTML's references, makes every run of white space one space and
/// everything lower case. Any bytes are taken; what is not UTF-8 becomes U+FFFD.
///
/// Repairs are those of ftfy but one: text decoded in a wrong encoding ("schÃ¶n") stays as it is.
/// Source: basic_clean and whitespace_clean of openai/CLIP; ftfy 6 (Speer 2019) for what it calls fix_text.
std::string clean_text(std::string_view text);

}  // namespace vitrail::data
