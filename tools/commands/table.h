// Aligned tables for the terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::tools {

using Row = std::vector<std::string>;

/// The columns that UTF-8 text takes on a terminal: 2 for wide characters, 0 for combining ones.
size_t display_width(std::string_view text);
/// The text on one line: '?' in place of control characters, which file names may have.
std::string on_one_line(std::string text);

/// All rows have the same number of cells. The first column is aligned left, the others right.
std::string to_table(const std::vector<Row>& rows);

}  // namespace vitrail::tools
