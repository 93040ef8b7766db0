// JSON from outside, read strictly. For sources only: it shows nlohmann's types.
#pragma once

#include <nlohmann/json.hpp>

#include <functional>
#include <string>
#include <string_view>

namespace vitrail {

enum class JsonFault { syntax, too_deep, repeated_name };

/// Parses text without repeated names, which parsers understand differently, and at most `deepest` levels.
/// broken is called for the first fault, with a sentence about it, and must throw.
nlohmann::json parse_strict_json(std::string_view text, int deepest,
                                 const std::function<void(JsonFault fault, const std::string& what)>& broken);

}  // namespace vitrail
