// Patterns of the names of weights: two layouts differ in the text between the numbers.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace vitrail::nn {

/// The parts of a name that the wildcards of a pattern match.
struct NameMatch {
  std::string_view block;  // *: the number of a block
  std::string_view leaf;   // %: weight or bias
  size_t part = 0;         // {query,key,value}: the index of the alternative
};
inline constexpr size_t kAllParts = size_t(-1);  // the braces as they are, for messages

/// "blocks.*.norm1.%" matches "blocks.3.norm1.bias". A ? matches any number.
std::optional<NameMatch> match_name(std::string_view pattern, std::string_view name);
/// The name that pattern gives for the same wildcards. The pattern may have no ?.
std::string fill_name(std::string_view pattern, const NameMatch& match);
/// Alternatives in the braces of a pattern; 0: it has none.
size_t parts_of(std::string_view pattern);

}  // namespace vitrail::nn
