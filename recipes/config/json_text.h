// JSON to be printed or written to a file. For sources only.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace vitrail::recipes {

/// On one line, or indented by so many spaces. Bytes that are no UTF-8, which names of files may have, become U+FFFD.
template <class Json>
std::string json_text(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace vitrail::recipes
