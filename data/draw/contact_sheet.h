// A contact sheet: many images on one, in a grid with captions, to look at a dataset or at what augmentations make.
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

/// Row by row, each image as large as fits its cell (small ones enlarged by whole pixels), its caption below, cut off
/// where it does not fit.
/// Throws: ShapeError if captions are given (any) but not one for each image, or there is no image.
Image contact_sheet(std::span<const Image> images, std::span<const std::string> captions,
                    const ContactSheet& layout = {});

}  // namespace vitrail::data
