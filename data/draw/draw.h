// Draws rectangles, lines, text and other images into an image, clipped to it.
#pragma once

#include "vitrail/data/image/image.h"

#include <cstdint>
#include <string_view>

namespace vitrail::data {

struct Color {
  uint8_t red = 0, green = 0, blue = 0;
};
inline constexpr Color kBlack{}, kWhite{255, 255, 255}, kLightGrey{224, 224, 224};

/// Every figure has this margin, in pixels, and this scale of its font.
inline constexpr int64_t kFigureMargin = 16, kFigureScale = 2;

/// A place in an image; pixel centres are at .5.
struct Point {
  double x = 0, y = 0;
};

/// Paints a filled rectangle, in pixels. The part outside the image is left out.
void fill_rectangle(Image& image, int64_t top, int64_t left, int64_t height, int64_t width, Color color);
/// A straight line with soft edges.
void draw_line(Image& image, Point from, Point to, double thickness, Color color);
/// Copies the pixels of part to top, left.
void draw_image(Image& image, const Image& part, int64_t top, int64_t left);

/// Each dot of the font is a square of scale pixels; characters of more than one byte are blanks.
void draw_text(Image& image, std::string_view text, int64_t top, int64_t left, Color color, int64_t scale = 1);
int64_t text_width(std::string_view text, int64_t scale = 1);
int64_t text_height(int64_t scale = 1);

}  // namespace vitrail::data
