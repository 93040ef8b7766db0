// Aligned tables for the terminal.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace vitrail::tools {

using Row = std::vector<std::string>;

/// All rows have the same number of cells. The first column is aligned left, the others right.
inline std::string to_table(const std::vector<Row>& rows) {
  std::vector<size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - row[i].size(), ' ');
      text += i == 0 ? row[i] + space : "  " + space + row[i];
    }
    text += "\n";
  }
  return text;
}

}  // namespace vitrail::tools
