// Cleans captions before they are split into words, like CLIP.
#pragma once

#include <string>
#include <string_view>

namespace vitrail::data {

/// Repairs text from the web, resolves HTML's character references, replaces each run of white space by one space, and
/// makes everything lower case. Takes any bytes; invalid UTF-8 becomes U+FFFD.
///
/// It makes the repairs of ftfy except one: text decoded with a wrong encoding ("schÃ¶n") stays unchanged.
/// Source: basic_clean and whitespace_clean of openai/CLIP; ftfy 6 (Speer 2019) for what it calls fix_text.
std::string clean_text(std::string_view text);

}  // namespace vitrail::data
