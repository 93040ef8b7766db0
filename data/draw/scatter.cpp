#include "vitrail/data/draw/scatter.h"

#include "vitrail/core/error.h"
#include "vitrail/data/draw/colormap.h"

#include <algorithm>

namespace vitrail::data {
namespace {

constexpr int64_t kPlotSide = 720, kMostInLegend = 40;
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
  for (int64_t i = 0; i < listed; ++i)
    legend = std::max(legend, text_width(classes[size_t(i)], kFigureScale) + 3 * kFigureMargin);

  const int64_t top = 2 * kFigureMargin + text_height(kFigureScale),
                line = text_height(kFigureScale) + kFigureMargin / 2;
  Image image(top + kPlotSide + kFigureMargin, kFigureMargin + kPlotSide + kFigureMargin + legend);
  fill_rectangle(image, 0, 0, image.height(), image.width(), kWhite);
  fill_rectangle(image, top, kFigureMargin, kPlotSide, kPlotSide, kLightGrey);
  fill_rectangle(image, top + 1, kFigureMargin + 1, kPlotSide - 2, kPlotSide - 2, kWhite);
  draw_text(image, title, kFigureMargin, kFigureMargin, kBlack, kFigureScale);

  const double room = double(kPlotSide) - 4 * kDotSize;
  const auto place = [&](double v, double low, double high) {
    return 2 * kDotSize + room * (high > low ? (v - low) / (high - low) : 0.5);
  };
  const auto color_of = [&](int64_t label) {
    return class_color(classes.empty() ? 0 : label, std::max<int64_t>(count, 1));
  };
  for (const Dot& dot : dots) {
    const Point at{double(kFigureMargin) + place(dot.x, low_x, high_x), double(top) + place(dot.y, low_y, high_y)};
    draw_line(image, at, at, kDotSize, color_of(dot.label));
  }
  for (int64_t i = 0; i < listed; ++i) {
    const int64_t y = top + i * line, x = 2 * kFigureMargin + kPlotSide;
    fill_rectangle(image, y, x, text_height(kFigureScale), kFigureMargin, color_of(i));
    draw_text(image, classes[size_t(i)], y, x + kFigureMargin + kFigureMargin / 2, kBlack, kFigureScale);
  }
  return image;
}

}  // namespace vitrail::data
