// A built-in font of 5 x 7 dots for captions and axes: printable ASCII; every other character is blank.
#pragma once

namespace vitrail::data {

inline constexpr int kGlyphRows = 7, kGlyphColumns = 5;

/// Whether the character has ink in this row and column.
bool glyph_dot(char c, int row, int column);

}  // namespace vitrail::data
