// Draws square matrices of counts, such as confusion matrices.
#pragma once

#include "vitrail/data/image/image.h"

#include <cstdint>
#include <span>
#include <string>

namespace vitrail::data {

struct MatrixPlot {
  std::string title = {}, row_label = {}, column_label = {};
  int64_t side = 640;  // pixels of the matrix, about; each cell has at least one
};

/// A cell is darker the larger its share of the row's sum. Names and counts are written where the cells have room. The
/// names of columns read upwards.
///
/// Shape:  counts [K, K], row by row; names K.
/// Throws: ShapeError for other numbers, or none.
Image matrix_plot(const MatrixPlot& layout, std::span<const int64_t> counts, std::span<const std::string> names);

}  // namespace vitrail::data
