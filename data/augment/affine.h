// The affine family: rotation, shear and translation, equal byte for byte to Pillow's transform and rotate, whose
// cubic has a = -1 here and -0.5 in resizing.
#pragma once

#include "vitrail/data/image/image.h"
#include "vitrail/data/image/resize.h"

#include <array>

namespace vitrail::data {

/// The filter that reads between pixels (nearest, bilinear or bicubic, without antialiasing), and the colour outside of
/// the image.
struct Warp {
  Filter filter = Filter::bicubic;
  std::array<uint8_t, 3> fill = {124, 116, 104};  // the mean of ImageNet
};

/// Where the output's (x, y) is read, in the coordinates of pixel centres at halves: (a x + b y + c, d x + e y + f).
struct AffineMatrix {
  double a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;
};

/// The image read through the matrix, in its own size. Throws ConfigError for another filter.
Image warp_affine(const Image& image, const AffineMatrix& matrix, const Warp& warp);

/// Rotates counter-clockwise about the centre. Multiples of 90 degrees that keep the size are exact.
Image rotate(const Image& image, double degrees, const Warp& warp);
Image shear_x(const Image& image, double factor, const Warp& warp);
Image shear_y(const Image& image, double factor, const Warp& warp);
/// Moves the image left and up by a number of pixels.
Image translate_x(const Image& image, double pixels, const Warp& warp);
Image translate_y(const Image& image, double pixels, const Warp& warp);

}  // namespace vitrail::data
