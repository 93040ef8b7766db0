#include "vitrail/data/augment/random_erasing.h"

#include "vitrail/core/error.h"

#include <algorithm>
#include <cmath>

namespace vitrail::data {

Box erase_box(ImageSize image, double area_share, double aspect) {
  const double area = area_share * double(image.height * image.width);
  const int64_t height = int64_t(std::nearbyint(std::sqrt(area * aspect)));
  const int64_t width = int64_t(std::nearbyint(std::sqrt(area / aspect)));
  return height < image.height && width < image.width ? Box{0, 0, height, width} : Box{};
}

RandomErasing::RandomErasing(const Config& c) : config_(c) {
  check<ConfigError>(0 <= c.probability && c.probability <= 1, "random_erasing", "probability {} is not in [0, 1]",
                     c.probability);
  check<ConfigError>(0 < c.min_area && c.min_area <= c.max_area && c.max_area <= 1, "random_erasing",
                     "area [{}, {}] is not inside (0, 1]", c.min_area, c.max_area);
  check<ConfigError>(0 < c.min_aspect && c.min_aspect <= 1, "random_erasing", "min_aspect {} is not in (0, 1]",
                     c.min_aspect);
  check<ConfigError>(c.count >= 1, "random_erasing", "{} rectangles; there must be at least one", c.count);
}

std::vector<Box> RandomErasing::sample_boxes(Rng& rng, ImageSize size) const {
  constexpr int kTries = 10;
  std::vector<Box> boxes;
  if (!rng.bernoulli(config_.probability)) return boxes;
  const double log_aspect = std::log(config_.min_aspect);
  for (int i = 0; i < config_.count; ++i) {
    for (int attempt = 0; attempt < kTries; ++attempt) {
      const double share = rng.uniform(config_.min_area, config_.max_area) / config_.count;
      Box box = erase_box(size, share, std::exp(rng.uniform(log_aspect, -log_aspect)));
      if (box == Box{}) continue;
      box.top = rng.below(size.height - box.height + 1);
      box.left = rng.below(size.width - box.width + 1);
      boxes.push_back(box);
      break;
    }
  }
  return boxes;
}

RandomErasing::Params RandomErasing::sample(Rng& rng, ImageSize size) const {
  Params params;
  for (const Box& box : sample_boxes(rng, size)) {
    std::vector<float> values(config_.fill == EraseFill::pixel ? size_t(3 * box.height * box.width) : 3);
    if (config_.fill != EraseFill::constant)
      for (float& v : values) v = float(rng.normal());
    params.push_back({box, std::move(values)});
  }
  return params;
}

void RandomErasing::apply(std::span<float> image, ImageSize size, const Params& params) const {
  const int64_t pixels = size.height * size.width;
  check<ShapeError>(int64_t(image.size()) == 3 * pixels, "random_erasing", "{} values do not make an image of {}",
                    image.size(), size);
  for (const auto& [box, values] : params) {
    const bool is_flat = values.size() == 3;
    check<ShapeError>(
        box.top >= 0 && box.left >= 0 && box.top + box.height <= size.height && box.left + box.width <= size.width,
        "random_erasing", "box {} is not inside an image of {}", box, size);
    check<ShapeError>(is_flat || int64_t(values.size()) == 3 * box.height * box.width, "random_erasing",
                      "{} values do not fill box {}", values.size(), box);
    const float* from = values.data();
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t y = box.top; y < box.top + box.height; ++y) {
        float* to = image.data() + c * pixels + y * size.width + box.left;
        if (is_flat) {
          std::fill_n(to, box.width, values[size_t(c)]);
        } else {
          std::copy_n(from, box.width, to);
          from += box.width;
        }
      }
    }
  }
}

}  // namespace vitrail::data
