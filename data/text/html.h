// HTML's character references in text: &amp; &#39; &eacute;
#pragma once

#include <string>
#include <string_view>

namespace vitrail::data {

enum class References {
  all,         // as browsers read them: a semicolon may be missing after a number and after old names
  terminated,  // only those that end in a semicolon
};

/// Replaces each reference by its characters, once. Other text stays unchanged.
/// Source: HTML Living Standard, 13.2.5.72-80, as Python's html.unescape does it.
std::u32string unescape_html(std::u32string_view text, References which = References::all);

}  // namespace vitrail::data
