#include "vitrail/data/draw/colormap.h"

#include <algorithm>
#include <cmath>

namespace vitrail::data {
namespace {

constexpr Color kHeat[] = {{68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {253, 231, 37}};
constexpr int kHeatSteps = 4;

/// The colour with a hue from 0 to 1, a saturation and a lightness.
Color from_hue(double hue, double saturation, double lightness) {
  const auto channel = [&](double offset) {
    const double k = std::fmod(offset + 12 * hue, 12.0);
    const double swing = saturation * std::min(lightness, 1 - lightness);
    return uint8_t(std::lround(255 * (lightness - swing * std::max(-1.0, std::min({k - 3, 9 - k, 1.0})))));
  };
  return {channel(0), channel(8), channel(4)};
}

}  // namespace

Color mix(Color a, Color b, double share) {
  const auto channel = [share](uint8_t from, uint8_t to) {
    return uint8_t(std::lround(double(from) + share * (double(to) - double(from))));
  };
  return {channel(a.red, b.red), channel(a.green, b.green), channel(a.blue, b.blue)};
}

Color heat_color(double value) {
  const double place = std::clamp(value, 0.0, 1.0) * kHeatSteps;
  const int step = std::min(int(place), kHeatSteps - 1);
  return mix(kHeat[step], kHeat[step + 1], place - step);
}

Color class_color(int64_t index, int64_t count) {
  constexpr double kSaturation = 0.75, kDark = 0.38, kBright = 0.55;
  return from_hue(double(index) / double(std::max<int64_t>(count, 1)), kSaturation, index % 2 == 0 ? kDark : kBright);
}

}  // namespace vitrail::data
