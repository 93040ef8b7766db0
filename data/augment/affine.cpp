#include "vitrail/data/augment/affine.h"

#include "vitrail/core/error.h"
#include "vitrail/data/image/exif.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numbers>

namespace vitrail::data {
namespace {

using Row3 = std::array<double, 3>;  // a value a channel

/// The positions of four neighbours along a line of n pixels, clamped to the line.
std::array<int64_t, 4> neighbours(int64_t first, int64_t n) {
  std::array<int64_t, 4> at;
  for (int64_t k = 0; k < 4; ++k) at[size_t(k)] = std::clamp(first + k, int64_t{0}, n - 1);
  return at;
}

double cubic(double v1, double v2, double v3, double v4, double d) {
  const double p1 = v2, p2 = -v1 + v3, p3 = 2 * (v1 - v2) + v3 - v4, p4 = -v1 + v2 - v3 + v4;
  return p1 + d * (p2 + d * (p3 + d * p4));
}

double linear(double v1, double v2, double d) { return v1 + (v2 - v1) * d; }

// Pillow does not read rows outside the image. Below the image it uses the last row that it read once more.

void read_bicubic(const Image& image, double x, double y, uint8_t* out) {
  x -= 0.5;
  y -= 0.5;
  const double left = std::floor(x), top = std::floor(y);
  const auto columns = neighbours(int64_t(left) - 1, image.width());
  const int64_t first = int64_t(top) - 1;
  std::array<Row3, 4> rows;
  for (int64_t k = 0; k < 4; ++k) {
    if (k > 0 && (first + k < 0 || first + k >= image.height())) {
      rows[size_t(k)] = rows[size_t(k - 1)];
      continue;
    }
    const uint8_t* line = image.at(std::clamp(first + k, int64_t{0}, image.height() - 1), 0);
    for (size_t c = 0; c < 3; ++c)
      rows[size_t(k)][c] = cubic(line[3 * columns[0] + int64_t(c)], line[3 * columns[1] + int64_t(c)],
                                 line[3 * columns[2] + int64_t(c)], line[3 * columns[3] + int64_t(c)], x - left);
  }
  for (size_t c = 0; c < 3; ++c)
    out[c] = uint8_t(std::clamp(cubic(rows[0][c], rows[1][c], rows[2][c], rows[3][c], y - top), 0.0, 255.0));
}

void read_bilinear(const Image& image, double x, double y, uint8_t* out) {
  x -= 0.5;
  y -= 0.5;
  const double left = std::floor(x), top = std::floor(y);
  const auto columns = neighbours(int64_t(left), image.width());
  const int64_t row = int64_t(top);
  const uint8_t* line = image.at(std::clamp(row, int64_t{0}, image.height() - 1), 0);
  const bool has_next = row + 1 >= 0 && row + 1 < image.height();
  const uint8_t* next = has_next ? image.at(row + 1, 0) : line;
  for (size_t c = 0; c < 3; ++c) {
    const int64_t a = 3 * columns[0] + int64_t(c), b = 3 * columns[1] + int64_t(c);
    out[c] = uint8_t(linear(linear(line[a], line[b], x - left), linear(next[a], next[b], x - left), y - top));
  }
}

template <void read(const Image&, double, double, uint8_t*)>
Image warp_with(const Image& image, const AffineMatrix& m, const Warp& warp) {
  Image out(image.size());
  for (int64_t row = 0; row < image.height(); ++row) {
    for (int64_t column = 0; column < image.width(); ++column) {
      const double x_out = double(column) + 0.5, y_out = double(row) + 0.5;
      const double x = m.a * x_out + m.b * y_out + m.c, y = m.d * x_out + m.e * y_out + m.f;
      uint8_t* to = out.at(row, column);
      if (x >= 0 && x < double(image.width()) && y >= 0 && y < double(image.height()))
        read(image, x, y, to);
      else
        std::copy_n(warp.fill.data(), 3, to);
    }
  }
  return out;
}

/// The pixel that holds a position. Positions have 16 fraction bits and are added up, so ties fall as in Pillow.
Image warp_nearest(const Image& image, const AffineMatrix& m, const Warp& warp) {
  const auto fixed = [](double v) { return int64_t(std::floor(v * 65536.0 + 0.5)); };
  const int64_t a = fixed(m.a), b = fixed(m.b), d = fixed(m.d), e = fixed(m.e);
  const int64_t x_start = fixed(m.c + m.a * 0.5 + m.b * 0.5), y_start = fixed(m.f + m.d * 0.5 + m.e * 0.5);
  Image out(image.size());
  for (int64_t row = 0; row < image.height(); ++row) {
    for (int64_t column = 0; column < image.width(); ++column) {
      const int64_t x = (x_start + row * b + column * a) >> 16, y = (y_start + row * e + column * d) >> 16;
      const bool inside = x >= 0 && x < image.width() && y >= 0 && y < image.height();
      std::copy_n(inside ? image.at(y, x) : warp.fill.data(), 3, out.at(row, column));
    }
  }
  return out;
}

/// To 15 decimals, as Python's round does.
double round15(double v) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.15f", v);
  return std::strtod(text.data(), nullptr);
}

}  // namespace

Image warp_affine(const Image& image, const AffineMatrix& matrix, const Warp& warp) {
  switch (warp.filter) {
    case Filter::nearest:
      return warp_nearest(image, matrix, warp);
    case Filter::bilinear:
      return warp_with<read_bilinear>(image, matrix, warp);
    case Filter::bicubic:
      return warp_with<read_bicubic>(image, matrix, warp);
    default:
      fail<ConfigError>("warp_affine", "filter {} is not one of nearest, bilinear, bicubic", warp.filter);
  }
}

Image rotate(const Image& image, double degrees, const Warp& warp) {
  constexpr int kOrientation90 = 8, kOrientation180 = 3, kOrientation270 = 6;  // of EXIF
  double angle = std::fmod(degrees, 360.0);
  if (angle < 0) angle += 360.0;
  const bool is_square = image.width() == image.height();
  if (angle == 0) return image;
  if (angle == 180) return upright(image, kOrientation180);
  if (angle == 90 && is_square) return upright(image, kOrientation90);
  if (angle == 270 && is_square) return upright(image, kOrientation270);
  const double radians = -(angle * (std::numbers::pi / 180.0));
  AffineMatrix m{round15(std::cos(radians)),  round15(std::sin(radians)), 0,
                 round15(-std::sin(radians)), round15(std::cos(radians)), 0};
  const double x = double(image.width()) / 2.0, y = double(image.height()) / 2.0;
  m.c = m.a * -x + m.b * -y + m.c + x;
  m.f = m.d * -x + m.e * -y + m.f + y;
  return warp_affine(image, m, warp);
}

Image shear_x(const Image& image, double factor, const Warp& warp) { return warp_affine(image, {.b = factor}, warp); }
Image shear_y(const Image& image, double factor, const Warp& warp) { return warp_affine(image, {.d = factor}, warp); }
Image translate_x(const Image& image, double pixels, const Warp& warp) {
  return warp_affine(image, {.c = pixels}, warp);
}
Image translate_y(const Image& image, double pixels, const Warp& warp) {
  return warp_affine(image, {.f = pixels}, warp);
}

}  // namespace vitrail::data
