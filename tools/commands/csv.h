// Fields of CSV files.
#pragma once

#include <string>

namespace vitrail::tools {

/// The text as a field of a CSV file, quoted if RFC 4180 requires it.
inline std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

}  // namespace vitrail::tools
