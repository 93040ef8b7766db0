#include "vitrail/data/draw/draw.h"

#include "vitrail/data/draw/font.h"

#include <algorithm>
#include <cmath>

namespace vitrail::data {
namespace {

constexpr int64_t kAdvance = kGlyphColumns + 1;

void blend(uint8_t* pixel, Color color, double coverage) {
  const uint8_t ink[3] = {color.red, color.green, color.blue};
  for (int c = 0; c < 3; ++c) pixel[c] = uint8_t(std::lround(pixel[c] + coverage * (ink[c] - pixel[c])));
}

double distance_to_segment(Point p, Point a, Point b) {
  const double dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
  const double along = length2 > 0 ? std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / length2, 0.0, 1.0) : 0.0;
  return std::hypot(p.x - a.x - along * dx, p.y - a.y - along * dy);
}

}  // namespace

void fill_rectangle(Image& image, int64_t top, int64_t left, int64_t height, int64_t width, Color color) {
  const int64_t bottom = std::min(top + height, image.height()), right = std::min(left + width, image.width());
  for (int64_t y = std::max(top, int64_t{0}); y < bottom; ++y)
    for (int64_t x = std::max(left, int64_t{0}); x < right; ++x) blend(image.at(y, x), color, 1);
}

void draw_line(Image& image, Point from, Point to, double thickness, Color color) {
  const double reach = thickness / 2 + 1;
  const auto first = [&](double v) { return int64_t(std::max(v - reach, 0.0)); };
  const auto last = [&](double v, int64_t size) { return int64_t(std::clamp(v + reach, 0.0, double(size))); };
  const int64_t bottom = last(std::max(from.y, to.y), image.height());
  const int64_t right = last(std::max(from.x, to.x), image.width());
  for (int64_t y = first(std::min(from.y, to.y)); y < bottom; ++y) {
    for (int64_t x = first(std::min(from.x, to.x)); x < right; ++x) {
      const double distance = distance_to_segment({double(x) + 0.5, double(y) + 0.5}, from, to);
      blend(image.at(y, x), color, std::clamp(thickness / 2 + 0.5 - distance, 0.0, 1.0));
    }
  }
}

void draw_image(Image& image, const Image& part, int64_t top, int64_t left) {
  const int64_t begin = std::max(-left, int64_t{0}), end = std::min(part.width(), image.width() - left);
  if (begin >= end) return;
  for (int64_t y = std::max(-top, int64_t{0}); y < std::min(part.height(), image.height() - top); ++y)
    std::copy_n(part.at(y, begin), (end - begin) * 3, image.at(top + y, left + begin));
}

void draw_text(Image& image, std::string_view text, int64_t top, int64_t left, Color color, int64_t scale) {
  for (const char c : text) {
    for (int row = 0; row < kGlyphRows; ++row)
      for (int column = 0; column < kGlyphColumns; ++column)
        if (glyph_dot(c, row, column))
          fill_rectangle(image, top + row * scale, left + column * scale, scale, scale, color);
    left += kAdvance * scale;
  }
}

int64_t text_width(std::string_view text, int64_t scale) {
  return text.empty() ? 0 : (int64_t(text.size()) * kAdvance - 1) * scale;
}

int64_t text_height(int64_t scale) { return kGlyphRows * scale; }

}  // namespace vitrail::data
