// Parts of a tokenizer.json that every kind of tokenizer has.
#pragma once

#include "vitrail/core/io/json.h"

#include <string>
#include <string_view>
#include <utility>

namespace vitrail::data {

/// The JSON value of a file. Throws IoError naming the file.
Json parse_tokenizer_file(std::string_view text, const std::string& name);
/// The text of a member; empty if it is missing or no text.
std::string text_of(const Json& object, std::string_view key);
/// A merge, which is "a b" or ["a", "b"]. number: its place, for the message. Throws IoError naming the file.
std::pair<std::string, std::string> read_merge(const Json& merge, const std::string& name, size_t number);

}  // namespace vitrail::data
