#include "vitrail/data/augment/tones.h"

#include "vitrail/core/error.h"

#include <algorithm>
#include <array>

namespace vitrail::data {
namespace {

using Levels = std::array<uint8_t, 256>;
using Histogram = std::array<int64_t, 256>;

Levels same_levels() {
  Levels levels;
  for (size_t v = 0; v < 256; ++v) levels[v] = uint8_t(v);
  return levels;
}

/// Maps each channel by levels_of(its histogram).
template <class F>
Image map_channels(Image image, F&& levels_of) {
  const size_t bytes = image.pixels().size();
  std::array<Histogram, 3> histograms{};
  for (size_t i = 0; i < bytes; i += 3)
    for (size_t c = 0; c < 3; ++c) ++histograms[c][image.data()[i + c]];
  const std::array<Levels, 3> levels = {levels_of(histograms[0]), levels_of(histograms[1]), levels_of(histograms[2])};
  for (size_t i = 0; i < bytes; i += 3)
    for (size_t c = 0; c < 3; ++c) image.data()[i + c] = levels[c][image.data()[i + c]];
  return image;
}

Levels stretched(const Histogram& histogram) {
  int low = 0, high = 255;
  while (low < 255 && histogram[size_t(low)] == 0) ++low;
  while (high > 0 && histogram[size_t(high)] == 0) --high;
  Levels levels = same_levels();
  if (high <= low) return levels;
  const double scale = 255.0 / (high - low), offset = -low * scale;
  for (int v = 0; v < 256; ++v) levels[size_t(v)] = uint8_t(std::clamp(int(v * scale + offset), 0, 255));
  return levels;
}

Levels equalized(const Histogram& histogram) {
  int64_t total = 0, last = 0, occupied = 0;
  for (const int64_t count : histogram) {
    total += count;
    if (count > 0) last = count;
    occupied += count > 0;
  }
  Levels levels = same_levels();
  const int64_t step = (total - last) / 255;
  if (occupied <= 1 || step == 0) return levels;
  int64_t below = step / 2;
  for (size_t v = 0; v < 256; ++v) {
    levels[v] = uint8_t(std::min(below / step, int64_t{255}));
    below += histogram[v];
  }
  return levels;
}

}  // namespace

Image invert(Image image) {
  for (uint8_t& v : image.pixels()) v = uint8_t(255 - v);
  return image;
}

Image solarize(Image image, int threshold) {
  if (threshold > 255) return image;
  const uint8_t first = uint8_t(std::max(threshold, 0));
  for (uint8_t& v : image.pixels()) v = v < first ? v : uint8_t(255 - v);
  return image;
}

Image solarize_add(Image image, int add, int threshold) {
  for (uint8_t& v : image.pixels()) v = v < threshold ? uint8_t(std::clamp(v + add, 0, 255)) : v;
  return image;
}

Image posterize(Image image, int bits) {
  check<ConfigError>(bits >= 0, "posterize", "bits is {}; it must not be negative", bits);
  if (bits >= 8) return image;
  const uint8_t mask = uint8_t(0xff << (8 - bits));
  for (uint8_t& v : image.pixels()) v &= mask;
  return image;
}

Image auto_contrast(Image image) { return map_channels(std::move(image), stretched); }
Image equalize(Image image) { return map_channels(std::move(image), equalized); }

}  // namespace vitrail::data
