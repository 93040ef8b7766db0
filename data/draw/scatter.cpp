#include "vitrail/data/draw/scatter.h"

#include "vitrail/core/error.h"
#include "vitrail/data/draw/colormap.h"

#include <algorithm>

namespace vitrail::data {
namespace {

constexpr int64_t kSide = 720, kMargin = 16, kScale = 2, kMostInLegend = 40;
constexpr double kDotSize = 5;

}  // namespace

Image scatter(const std::string& title, std::span<const Dot> dots, std::span<const std::string> classes) {
  check<ShapeError>(!dots.empty(), "scatter", "there is no dot");
  const int64_t count = int64_t(classes.size()), listed = std::min(count, kMostInLegend);
  double low_x = dots[0].x, high_x = low_x, low_y = dots[0].y, high_y = low_y;
  for (const Dot& dot : dots) {
    check<ShapeError>(classes.empty() || (0 <= dot.label && dot.label < count), "scatter",
                      "label {} is not one of {} classes", dot.label, count);
    low_x = std::min(low_x, dot.x);
    high_x = std::max(high_x, dot.x);
    low_y = std::min(low_y, dot.y);
    high_y = std::max(high_y, dot.y);
  }
  int64_t legend = 0;
  for (int64_t i = 0; i < listed; ++i) legend = std::max(legend, text_width(classes[size_t(i)], kScale) + 3 * kMargin);

  const int64_t top = 2 * kMargin + text_height(kScale), line = text_height(kScale) + kMargin / 2;
  Image image(top + kSide + kMargin, kMargin + kSide + kMargin + legend);
  fill_rectangle(image, 0, 0, image.height(), image.width(), kWhite);
  fill_rectangle(image, top, kMargin, kSide, kSide, kLightGrey);
  fill_rectangle(image, top + 1, kMargin + 1, kSide - 2, kSide - 2, kWhite);
  draw_text(image, title, kMargin, kMargin, kBlack, kScale);

  const double room = double(kSide) - 4 * kDotSize;
  const auto place = [&](double v, double low, double high) {
    return 2 * kDotSize + room * (high > low ? (v - low) / (high - low) : 0.5);
  };
  const auto color_of = [&](int64_t label) {
    return class_color(classes.empty() ? 0 : label, std::max<int64_t>(count, 1));
  };
  for (const Dot& dot : dots) {
    const Point at{double(kMargin) + place(dot.x, low_x, high_x), double(top) + place(dot.y, low_y, high_y)};
    draw_line(image, at, at, kDotSize, color_of(dot.label));
  }
  for (int64_t i = 0; i < listed; ++i) {
    const int64_t y = top + i * line, x = 2 * kMargin + kSide;
    fill_rectangle(image, y, x, text_height(kScale), kMargin, color_of(i));
    draw_text(image, classes[size_t(i)], y, x + kMargin + kMargin / 2, kBlack, kScale);
  }
  return image;
}

}  // namespace vitrail::data
