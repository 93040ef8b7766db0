// Named character references of the HTML Living Standard (WHATWG).
// The list is https://html.spec.whatwg.org/entities.json.
#pragma once

#include <span>
#include <string_view>

namespace vitrail::data {

struct HtmlEntity {
  std::string_view name;
  bool bare;          // may stand without a semicolon
  char32_t chars[2];  // the second is 0 if there is only one
};

/// Sorted by name.
std::span<const HtmlEntity> html_entities();

}  // namespace vitrail::data
