#include "vitrail/recipes/eval/attention_maps.h"

#include "vitrail/core/ops.h"
#include "vitrail/data/draw/colormap.h"
#include "vitrail/recipes/eval/finite.h"

#include <algorithm>
#include <numeric>
#include <string>

namespace vitrail::recipes {
namespace {

/// Computes each pixel of a new image from the pixel of `image` and the value of its patch in `map`.
template <class F>
data::Image over_patches(const data::Image& image, const PatchMap& map, F&& color_of) {
  data::Image result(image.size());
  for (int64_t y = 0; y < image.height(); ++y) {
    const int64_t row = y * map.rows / image.height();
    for (int64_t x = 0; x < image.width(); ++x) {
      const int64_t column = x * map.columns / image.width();
      const uint8_t* from = image.at(y, x);
      const data::Color color =
          color_of(data::Color{from[0], from[1], from[2]}, map.values[size_t(row * map.columns + column)]);
      uint8_t* to = result.at(y, x);
      to[0] = color.red;
      to[1] = color.green;
      to[2] = color.blue;
    }
  }
  return result;
}

}  // namespace

std::vector<PatchMap> last_attention(nn::VisionTransformer& model, const Tensor& image) {
  const int64_t patch = model.config.patch_size, rows = image.size(2) / patch, columns = image.size(3) / patch;
  const Tensor all = model.last_self_attention(image).select(0, 0);  // [heads, tokens that ask, tokens]
  const Tensor weights = model.config.class_token ? all.select(1, 0) : core::mean(all, {1});  // [heads, tokens]
  expect_finite(weights, "attention", [](int64_t head) { return "head " + std::to_string(head); });
  std::vector<PatchMap> maps;
  for (int64_t head = 0; head < weights.size(0); ++head)
    maps.push_back(
        {rows, columns, weights.select(0, head).slice(0, model.prefix_tokens(), weights.size(1)).to_vector()});
  return maps;
}

PatchMap keep_mass(const PatchMap& map, double mass) {
  std::vector<size_t> order(map.values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return map.values[a] < map.values[b]; });
  const double total = std::accumulate(map.values.begin(), map.values.end(), 0.0);
  PatchMap result{map.rows, map.columns, std::vector<double>(map.values.size())};
  double below = 0;
  for (const size_t i : order) {
    below += map.values[i];
    result.values[i] = below > (1 - mass) * total ? 1 : 0;
  }
  return result;
}

PatchMap stretched(const PatchMap& map) {
  const auto [low, high] = std::minmax_element(map.values.begin(), map.values.end());
  PatchMap result = map;
  for (double& v : result.values) v = *high > *low ? (v - *low) / (*high - *low) : 0;
  return result;
}

data::Image overlay_heat(const data::Image& image, const PatchMap& map, double opacity) {
  return over_patches(image, map, [opacity](data::Color pixel, double value) {
    return data::mix(pixel, data::heat_color(value), opacity);
  });
}

data::Image overlay_mask(const data::Image& image, const PatchMap& mask) {
  constexpr double kShade = 0.8;
  return over_patches(image, mask, [](data::Color pixel, double value) {
    return value > 0 ? pixel : data::mix(pixel, data::kBlack, kShade);
  });
}

data::Image overlay_marks(const data::Image& image, const PatchMap& mask) {
  constexpr data::Color kRed{230, 30, 30};
  constexpr double kTint = 0.8;
  return over_patches(
      image, mask, [&](data::Color pixel, double value) { return value > 0 ? data::mix(pixel, kRed, kTint) : pixel; });
}

}  // namespace vitrail::recipes
