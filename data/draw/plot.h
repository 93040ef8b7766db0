// Draws line charts, for example of loss and accuracy.
#pragma once

#include "vitrail/data/image/image.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vitrail::data {

/// A line through (x[i], y[i]), or a dot at each. Points that are not finite are left out and interrupt the line.
struct Series {
  std::string name;
  std::vector<double> x, y;
  bool dots = false;
};

struct Plot {
  std::string title = {}, x_label = {}, y_label = {};
  int64_t width = 800, height = 500;
  bool from_zero = false;  // the y axis includes 0
};

/// Draws the series on one pair of axes with round ticks, and a legend if they have names.
/// Throws: ShapeError if x and y of a series differ in length, or no point is finite.
Image plot(const Plot& layout, std::span<const Series> series);

/// Multiples of 1, 2 or 5 times a power of ten within [low, high], at most `most` of them.
std::vector<double> round_ticks(double low, double high, int most);

}  // namespace vitrail::data
