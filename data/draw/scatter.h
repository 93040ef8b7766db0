// Draws scatter plots: a map of features, with a dot for each image in the colour of its class.
#pragma once

#include "vitrail/data/image/image.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vitrail::data {

struct Dot {
  double x = 0, y = 0;
  int64_t label = 0;  // in classes
};

/// The dots in a frame, with a legend of the classes beside it. Without classes, all dots have one colour.
/// Throws ShapeError if there is no dot, or a label is not a class.
Image scatter(const std::string& title, std::span<const Dot> dots, std::span<const std::string> classes);

}  // namespace vitrail::data
