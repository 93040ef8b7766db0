// A contact sheet: many images in a grid with captions, to look at a dataset or at augmentations.
#pragma once

#include "vitrail/data/image/image.h"

#include <cstdint>
#include <span>
#include <string>

namespace vitrail::data {

struct ContactSheet {
  int64_t columns = 8;
  int64_t cell = 128;  // side of the square that each image fits in
  int64_t gap = 4;
};

/// Fills the grid row by row. Each image is as large as its cell allows; small ones are enlarged by a whole factor. The
/// caption stands below, cut to the width of the cell.
/// Throws ShapeError if there is no image, or if captions is neither empty nor one for each image.
Image contact_sheet(std::span<const Image> images, std::span<const std::string> captions,
                    const ContactSheet& layout = {});

}  // namespace vitrail::data
