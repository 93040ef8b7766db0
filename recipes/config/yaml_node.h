// A YAML document as a tree whose nodes know their places. Limits on size and depth make any text safe to read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

constexpr int64_t kMaxRecipeBytes = 64 << 10;

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  bool quoted = false;             // of a scalar
  std::string text;                // of a scalar
  std::vector<YamlNode> keys;      // of a map: scalars, one for each child
  std::vector<YamlNode> children;  // of a list or map
  int line = 1, column = 1;
  int64_t size = 1;  // nodes here and below
};

/// name: of the text, for messages: "<name>:<line>:<column>: ...".
/// Throws ConfigError: not YAML; beyond the limits (see Config); tags, merge keys, keys given twice, several documents.
YamlNode parse_yaml(std::string_view text, const std::string& name);

}  // namespace vitrail::recipes
