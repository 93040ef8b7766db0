#include "vitrail/core/error.h"
#include "vitrail/data/augment/random_erasing.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

namespace vitrail::data {
namespace {

struct Moments {
  double count = 0, sum = 0, squares = 0;
  void add(double v, double weight = 1) {
    count += weight;
    sum += weight * v;
    squares += weight * v * v;
  }
  double mean() const { return sum / count; }
  double deviation() const { return std::sqrt(squares / count - mean() * mean()); }
};

void check_close(const Moments& drawn, const Moments& expected) {
  CHECK(std::abs(drawn.mean() - expected.mean()) < 6 * expected.deviation() * std::sqrt(2 / drawn.count) + 1e-3);
  CHECK(std::abs(drawn.deviation() / expected.deviation() - 1) < 0.015);
}

}  // namespace

TEST_CASE("RandomErasing draws what its definition says") {
  constexpr int kDraws = 100000;
  const ImageSize size{224, 224};
  const RandomErasing erasing({.probability = 0.25});
  Rng rng(1, "erase");
  Moments area, log_aspect, top, left;
  for (int i = 0; i < kDraws; ++i) {
    const auto boxes = erasing.sample_boxes(rng, size);
    if (boxes.empty()) continue;
    const Box& box = boxes[0];
    area.add(double(box.height * box.width) / (224 * 224));
    log_aspect.add(std::log(double(box.height) / double(box.width)));
    top.add(double(box.top) / double(224 - box.height));
    left.add(double(box.left) / double(224 - box.width));
  }
  CHECK(std::abs(area.count / kDraws - 0.25) < 0.008);

  // Area uniform in [0.02, 1/3], log aspect in [ln 0.3, -ln 0.3], among the boxes that fit.
  Moments expected_area, expected_log_aspect, uniform;
  constexpr int kGrid = 1000;
  for (int i = 0; i < kGrid; ++i) {
    uniform.add((i + 0.5) / kGrid);
    for (int j = 0; j < kGrid; ++j) {
      const double share = 0.02 + (1.0 / 3 - 0.02) * (i + 0.5) / kGrid;
      const double l = std::log(0.3) * (1 - 2 * (j + 0.5) / kGrid);
      if (share * std::exp(l) >= 1 || share / std::exp(l) >= 1) continue;
      expected_area.add(share);
      expected_log_aspect.add(l);
    }
  }
  check_close(area, expected_area);
  check_close(log_aspect, expected_log_aspect);
  CHECK(std::abs(top.mean() - 0.5) < 0.02);
  CHECK(std::abs(left.mean() - 0.5) < 0.02);
  CHECK(std::abs(top.deviation() - uniform.deviation()) < 0.03);  // a tall box has few positions
}

TEST_CASE("RandomErasing fills with zeros, a colour or noise, and leaves the rest") {
  const ImageSize size{12, 10};
  for (const EraseFill fill : {EraseFill::constant, EraseFill::channel, EraseFill::pixel}) {
    CAPTURE(int(fill));
    const RandomErasing erasing({.probability = 1, .fill = fill, .count = 2});
    Rng rng(3, "erase");
    const auto params = erasing.sample(rng, size);
    REQUIRE(params.size() == 2);
    std::vector<float> image(3 * 120, 7.0f);
    erasing.apply(image, size, params);
    int64_t kept = 0;
    for (int64_t y = 0; y < 12; ++y) {
      for (int64_t x = 0; x < 10; ++x) {
        const bool inside = std::any_of(params.begin(), params.end(), [&](const auto& e) {
          return y >= e.box.top && y < e.box.top + e.box.height && x >= e.box.left && x < e.box.left + e.box.width;
        });
        for (int64_t c = 0; c < 3; ++c) CHECK((image[size_t(c * 120 + y * 10 + x)] != 7.0f) == inside);
        kept += !inside;
      }
    }
    CHECK(kept > 60);
    const Box& last = params[1].box;
    const float corner = image[size_t(last.top * 10 + last.left)];
    if (fill == EraseFill::constant) CHECK(corner == 0);
    if (fill == EraseFill::channel) CHECK(corner == params[1].values[0]);
  }
  Rng rng(1, "none");
  CHECK(RandomErasing({.probability = 0}).sample(rng, size).empty());
}

TEST_CASE("RandomErasing refuses what it cannot do") {
  CHECK_THROWS_WITH_AS(RandomErasing({.min_area = 0.5, .max_area = 0.1}), doctest::Contains("area [0.5, 0.1]"),
                       ConfigError);
  CHECK_THROWS_AS(RandomErasing({.count = 0}), ConfigError);
  std::vector<float> image(3 * 4);
  CHECK_THROWS_WITH_AS(RandomErasing({}).apply(image, {2, 2}, {{{1, 1, 2, 1}, {0, 0, 0}}}),
                       doctest::Contains("not inside an image of 2 x 2"), ShapeError);
  CHECK_THROWS_AS(RandomErasing({}).apply(image, {2, 3}, {}), ShapeError);
}

}  // namespace vitrail::data
