// The views that are made of each image: how many, of which shape, under which name they stand in a batch.
#pragma once

#include "vitrail/core/shape.h"

#include <cstdint>
#include <string>

namespace vitrail::data {

/// `count` views of one shape, usually [3, H, W]; together they are one tensor of a batch.
struct Views {
  Shape shape;
  int64_t count = 1;
  std::string name = "images";
};

}  // namespace vitrail::data
