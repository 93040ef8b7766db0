#include "vitrail/data/draw/plot.h"

#include "vitrail/core/error.h"
#include "vitrail/data/draw/draw.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace vitrail::data {
namespace {

constexpr int kMostTicks = 8;
constexpr double kSeriesDot = 8;
constexpr Color kPalette[] = {{31, 107, 180}, {214, 79, 32},  {44, 145, 60},
                              {140, 80, 170}, {190, 150, 20}, {90, 90, 90}};

struct Range {
  double low = INFINITY, high = -INFINITY;

  void include(double v) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  // A range with only one value gets a width.
  Range widened() const { return low < high ? *this : Range{low - 0.5, high + 0.5}; }
  double part(double v) const { return (v - low) / (high - low); }
};

bool is_finite(const Series& s, size_t i) { return std::isfinite(s.x[i]) && std::isfinite(s.y[i]); }

// Rounded to six figures, in the fewest digits.
std::string tick_text(double v) {
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), v, std::chars_format::general, 6).ptr;
  return {text.data(), end};
}

// The frame of the axes in the image, and the map from values to pixels.
struct Axes {
  Range x, y;
  int64_t top, left, bottom, right;

  Point place(double vx, double vy) const {
    return {double(left) + x.part(vx) * double(right - left), double(bottom) - y.part(vy) * double(bottom - top)};
  }
};

void draw_x_axis(Image& image, const Axes& axes) {
  for (const double v : round_ticks(axes.x.low, axes.x.high, kMostTicks)) {
    const int64_t x = int64_t(axes.place(v, axes.y.low).x);
    fill_rectangle(image, axes.top, x, axes.bottom - axes.top, 1, kLightGrey);
    const std::string text = tick_text(v);
    draw_text(image, text, axes.bottom + kFigureMargin / 2, x - text_width(text, kFigureScale) / 2, kBlack,
              kFigureScale);
  }
}

void draw_y_axis(Image& image, const Axes& axes) {
  for (const double v : round_ticks(axes.y.low, axes.y.high, kMostTicks)) {
    const int64_t y = int64_t(axes.place(axes.x.low, v).y);
    fill_rectangle(image, y, axes.left, 1, axes.right - axes.left, kLightGrey);
    const std::string text = tick_text(v);
    draw_text(image, text, y - text_height(kFigureScale) / 2,
              axes.left - kFigureMargin / 2 - text_width(text, kFigureScale), kBlack, kFigureScale);
  }
}

void draw_series(Image& image, const Axes& axes, const Series& s, Color color) {
  for (size_t i = 0; i < s.x.size(); ++i) {
    if (!is_finite(s, i)) continue;
    const Point to = axes.place(s.x[i], s.y[i]);
    if (s.dots) {
      draw_line(image, to, to, kSeriesDot, color);
      continue;
    }
    const Point from = i > 0 && is_finite(s, i - 1) ? axes.place(s.x[i - 1], s.y[i - 1]) : to;
    draw_line(image, from, to, 2.5, color);
  }
}

// At the right, in the upper or the lower corner, whichever has fewer points.
void draw_legend(Image& image, const Axes& axes, std::span<const Series> series) {
  constexpr int64_t kDash = 24;
  int64_t widest = 0, rows = 0;
  for (const Series& s : series) {
    widest = std::max(widest, text_width(s.name, kFigureScale));
    rows += !s.name.empty();
  }
  const int64_t left = axes.right - widest - kDash - 2 * kFigureMargin,
                row = text_height(kFigureScale) + kFigureMargin / 2;
  const double height = double(rows * row + kFigureMargin);
  int64_t upper = 0, lower = 0;
  for (const Series& s : series)
    for (size_t i = 0; i < s.x.size(); ++i) {
      if (!is_finite(s, i)) continue;
      const Point p = axes.place(s.x[i], s.y[i]);
      if (p.x < double(left)) continue;
      upper += p.y < double(axes.top) + height;
      lower += p.y > double(axes.bottom) - height;
    }
  int64_t top = upper <= lower ? axes.top + kFigureMargin / 2 : axes.bottom - int64_t(height);
  for (size_t i = 0; i < series.size(); ++i) {
    if (series[i].name.empty()) continue;
    const double middle = double(top) + double(text_height(kFigureScale)) / 2;
    const Point begin{double(left), middle}, end{double(left + kDash), middle},
        centre{double(left) + double(kDash) / 2, middle};
    const Color color = kPalette[i % std::size(kPalette)];
    if (series[i].dots)
      draw_line(image, centre, centre, kSeriesDot, color);
    else
      draw_line(image, begin, end, 3, color);
    draw_text(image, series[i].name, top, left + kDash + kFigureMargin / 2, kBlack, kFigureScale);
    top += row;
  }
}

}  // namespace

std::vector<double> round_ticks(double low, double high, int most) {
  const double least_step = (high - low) / most;
  const double power = std::pow(10, std::floor(std::log10(least_step)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0})
    if (factor * power >= least_step) step = factor * power;
  std::vector<double> ticks;
  const double slack = 1e-9 * (high - low);
  for (double i = std::ceil((low - slack) / step); i * step <= high + slack && int(ticks.size()) < most + 1; ++i)
    ticks.push_back(i * step + 0.0);  // 0, not -0
  return ticks;
}

Image plot(const Plot& layout, std::span<const Series> series) {
  Range x, y;
  for (const Series& s : series) {
    check<ShapeError>(s.x.size() == s.y.size(), "plot", "series '{}' has {} x and {} y", s.name, s.x.size(),
                      s.y.size());
    for (size_t i = 0; i < s.x.size(); ++i) {
      if (!is_finite(s, i)) continue;
      x.include(s.x[i]);
      y.include(s.y[i]);
    }
  }
  check<ShapeError>(x.low <= x.high, "plot", "none of the {} series has a finite point", series.size());
  if (layout.from_zero) y.include(0);
  x = x.widened();
  y = y.widened();

  const int64_t line = text_height(kFigureScale) + kFigureMargin / 2;
  int64_t tick_width = 0;
  for (const double v : round_ticks(y.low, y.high, kMostTicks))
    tick_width = std::max(tick_width, text_width(tick_text(v), kFigureScale));
  const Axes axes{x,
                  y,
                  kFigureMargin + 2 * line,
                  kFigureMargin + tick_width + kFigureMargin / 2,
                  layout.height - kFigureMargin - 2 * line,
                  layout.width - 2 * kFigureMargin};
  check<ShapeError>(axes.top < axes.bottom && axes.left < axes.right, "plot", "no room for a chart in {}",
                    ImageSize{layout.height, layout.width});

  Image image(layout.height, layout.width);
  fill_rectangle(image, 0, 0, layout.height, layout.width, kWhite);
  draw_text(image, layout.title, kFigureMargin, (layout.width - text_width(layout.title, kFigureScale)) / 2, kBlack,
            kFigureScale);
  draw_text(image, layout.y_label, kFigureMargin + line, kFigureMargin, kBlack, kFigureScale);
  draw_text(image, layout.x_label, layout.height - kFigureMargin - text_height(kFigureScale),
            (axes.left + axes.right - text_width(layout.x_label, kFigureScale)) / 2, kBlack, kFigureScale);
  draw_x_axis(image, axes);
  draw_y_axis(image, axes);
  fill_rectangle(image, axes.bottom, axes.left, 1, axes.right - axes.left, kBlack);
  fill_rectangle(image, axes.top, axes.left, axes.bottom - axes.top, 1, kBlack);
  for (size_t i = 0; i < series.size(); ++i) draw_series(image, axes, series[i], kPalette[i % std::size(kPalette)]);
  draw_legend(image, axes, series);
  return image;
}

}  // namespace vitrail::data
