// JSON as text, for printing or a file. Include it in sources only: nlohmann/json is slow to compile.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace vitrail {

/// On one line, or indented by `indent` spaces. Bytes that are not UTF-8 (file names may have them) become U+FFFD.
template <class Json>
std::string json_text(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace vitrail
