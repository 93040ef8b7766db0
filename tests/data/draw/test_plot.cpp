#include "vitrail/core/error.h"
#include "vitrail/data/draw/plot.h"

#include <doctest/doctest.h>

#include <cmath>
#include <utility>
#include <vector>

namespace vitrail::data {
namespace {

// Pixels of the first series' colour, anything bluish.
int64_t count_blue(const Image& image) {
  int64_t count = 0;
  for (int64_t y = 0; y < image.height(); ++y)
    for (int64_t x = 0; x < image.width(); ++x) count += image.at(y, x)[2] > image.at(y, x)[0] + 60;
  return count;
}

}  // namespace

TEST_CASE("ticks are round and inside the range") {
  CHECK(round_ticks(0, 10, 5) == std::vector<double>{0, 2, 4, 6, 8, 10});
  CHECK(round_ticks(-1, 1, 4) == std::vector<double>{-1, -0.5, 0, 0.5, 1});
  CHECK(round_ticks(13, 37, 3) == std::vector<double>{20, 30});
  for (const double scale : {1e-12, 1e-3, 1.0, 7e5}) {
    const auto ticks = round_ticks(0.3 * scale, 2.9 * scale, 8);
    CHECK(ticks.size() >= 3);
    CHECK(ticks.front() >= 0.3 * scale * (1 - 1e-8));
    CHECK(ticks.back() <= 2.9 * scale * (1 + 1e-8));
  }
}

TEST_CASE("a plot has the size asked for and shows its series") {
  const std::vector<Series> line = {{"", {0, 1, 2}, {0, 1, 0}}};
  const Image image = plot({.title = "loss", .width = 300, .height = 200}, line);
  CHECK(image.size() == ImageSize{200, 300});
  CHECK(count_blue(image) > 300);
  CHECK(plot({.title = "loss", .width = 300, .height = 200}, line) == image);
}

TEST_CASE("a point that is not finite interrupts the line") {
  const std::vector<Series> whole = {{"", {0, 1, 2, 3}, {0, 1, 2, 3}}}, cut = {{"", {0, 1, 2, 3}, {0, NAN, 2, 3}}};
  CHECK(count_blue(plot({}, cut)) < count_blue(plot({}, whole)) * 2 / 3);
}

TEST_CASE("dots are drawn at the points alone") {
  const std::vector<Series> line = {{"", {0, 1}, {0, 1}}}, dots = {{"", {0, 1}, {0, 1}, true}};
  CHECK(count_blue(plot({}, dots)) > 60);
  CHECK(count_blue(plot({}, dots)) < count_blue(plot({}, line)) / 5);
}

TEST_CASE("a y axis from zero moves a flat line to the top") {
  const std::vector<Series> flat = {{"", {0, 1}, {9, 9}}};
  const auto blue_at_the_top = [&](const Image& image) {
    int64_t count = 0;
    for (int64_t y = 0; y < image.height() / 4; ++y)
      count += image.at(y, image.width() / 2)[2] > image.at(y, image.width() / 2)[0] + 60;
    return count;
  };
  CHECK(blue_at_the_top(plot({}, flat)) == 0);
  CHECK(blue_at_the_top(plot({.from_zero = true}, flat)) > 0);
}

TEST_CASE("the legend keeps out of the way of the lines") {
  // The dash of the legend is as blue as the line. It is in the half that the line does not enter.
  const auto blue_rows = [](std::vector<double> y) {
    const Image image = plot({.width = 400, .height = 300}, std::vector<Series>{{"a", {0, 1, 2, 3, 4}, std::move(y)}});
    int64_t upper = 0, lower = 0;
    for (int64_t x = 300; x < 400; ++x)
      for (int64_t row = 0; row < 300; ++row)
        if (image.at(row, x)[2] > image.at(row, x)[0] + 60) ++(row < 150 ? upper : lower);
    return std::pair(upper, lower);
  };
  const auto [upper, lower] = blue_rows({0, 3, 4, 4, 4});  // the line is above, the dash below
  CHECK(upper > 0);
  CHECK(lower > 0);
  const auto [above, below] = blue_rows({4, 1, 0, 0, 0});
  CHECK(above > 0);
  CHECK(below > 0);
}

TEST_CASE("one point is a plot, none is an error") {
  CHECK(count_blue(plot({}, std::vector<Series>{{"", {3}, {5}}})) > 0);
  CHECK_THROWS_WITH_AS(plot({}, {}), doctest::Contains("none of the 0 series"), ShapeError);
  CHECK_THROWS_AS(plot({}, std::vector<Series>{{"", {NAN}, {5}}}), ShapeError);
  CHECK_THROWS_WITH_AS(plot({}, std::vector<Series>{{"loss", {1, 2}, {5}}}),
                       doctest::Contains("'loss' has 2 x and 1 y"), ShapeError);
  CHECK_THROWS_WITH_AS(plot({.width = 40, .height = 40}, std::vector<Series>{{"", {1, 2}, {5, 6}}}),
                       doctest::Contains("no room"), ShapeError);
}

}  // namespace vitrail::data
