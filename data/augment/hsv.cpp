#include "vitrail/data/augment/hsv.h"

#include <cmath>

namespace vitrail::data {

// Every rounding below repeats one of Pillow's, which computes in float, partly in double, and truncates. The loops are
// short, without branches and with few types, so that they vectorise. The tests compare all 2^24 colours with plain
// code.

void rgb_to_hsv(RgbBlock& block, int64_t pixels) {
  std::array<float, RgbBlock::kPixels> turn;  // the hue in sixths of a turn, from -1 to 5
  for (size_t i = 0; i < size_t(pixels); ++i) {
    const int r = block.r[i], g = block.g[i], b = block.b[i];
    const int most = std::max(r, std::max(g, b)), chroma = most - std::min(r, std::min(g, b));
    const float divisor = float(chroma == 0 ? 1 : chroma);

    // plus and minus are the distances of the two other channels from the largest. One of them equals the chroma, so
    // its quotient is 1 and one division remains.
    const bool red = r == most, green = !red && g == most;
    const int plus = most - (red ? b : green ? r : g), minus = most - (red ? g : green ? b : r);
    const float corner = red ? 0.0f : green ? 2.0f : 4.0f;
    const bool plus_is_all = plus == chroma;
    const float rest = float(plus_is_all ? minus : plus) / divisor;
    turn[i] = chroma == 0 ? 0.0f : plus_is_all ? (corner + 1) - rest : (corner - 1) + rest;

    const float saturation = float(chroma) / float(most == 0 ? 1 : most);
    const int scaled = int(saturation * 255.0f);
    const bool was_rounded_up = std::fma(saturation, 255.0f, -float(scaled)) < 0;
    block.g[i] = uint8_t(scaled - int(was_rounded_up));
    block.b[i] = uint8_t(most);
  }
  std::array<int32_t, RgbBlock::kPixels> hue;
  for (size_t i = 0; i < size_t(pixels); ++i) {
    const double whole = double(turn[i]) / 6.0 + 1.0;  // from 5/6 to 11/6
    const float fraction = float(whole >= 1.0 ? whole - 1.0 : whole);
    hue[i] = int32_t(double(fraction) * 255.0);
  }
  for (size_t i = 0; i < size_t(pixels); ++i) block.r[i] = uint8_t(hue[i]);
}

void hsv_to_rgb(RgbBlock& block, int64_t pixels) {
  std::array<float, RgbBlock::kPixels> saturation, fraction, value;
  std::array<int32_t, RgbBlock::kPixels> sector, between;
  for (size_t i = 0; i < size_t(pixels); ++i) {
    const int sixths = block.r[i] * 6;  // in 255ths
    sector[i] = sixths / 255;
    fraction[i] = float(sixths - 255 * sector[i]) / 255.0f;
    saturation[i] = float(block.g[i]) / 255.0f;
    value[i] = float(block.b[i]);
  }
  for (size_t i = 0; i < size_t(pixels); ++i) {
    // The middle channel falls in odd sectors and rises in even ones. Pillow multiplies in float for the former, in
    // double for the latter.
    const double s = double(saturation[i]), f = double(fraction[i]);
    const double falling = double(saturation[i] * fraction[i]), rising = s * (1.0 - f);
    between[i] = int32_t(double(value[i]) * (1.0 - (sector[i] & 1 ? falling : rising)) + 0.5);
  }
  for (size_t i = 0; i < size_t(pixels); ++i) {
    const int v = block.b[i], m = between[i], k = sector[i] == 6 ? 0 : sector[i];
    const int p = int(float(v) * (1.0f - saturation[i]) + 0.5f);
    const auto in = [k](int a, int b) { return int((k == a) | (k == b)); };  // vectors have no branches
    block.r[i] = uint8_t(in(0, 5) * v + in(1, 4) * m + in(2, 3) * p);
    block.g[i] = uint8_t(in(1, 2) * v + in(0, 3) * m + in(4, 5) * p);
    block.b[i] = uint8_t(in(3, 4) * v + in(2, 5) * m + in(0, 1) * p);
  }
}

}  // namespace vitrail::data
