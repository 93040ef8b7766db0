#include "vitrail/core/error.h"
#include "vitrail/data/draw/matrix_plot.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace vitrail::data {

TEST_CASE("a matrix of counts is the darker the larger the share of the row") {
  const std::vector<std::string> names{"cat", "dog"};
  const Image image = matrix_plot({}, std::vector<int64_t>{9, 1, 0, 0}, names);
  // Reads a pixel of each of the four cells, away from its text. The cells fill the last 128 rows and columns before
  // the margins.
  const auto red = [&](int64_t i, int64_t j) {
    const int64_t left = image.width() - 16 - 128, top = image.height() - 16 - 22 - 128;
    return int{image.at(top + 64 * i + 4, left + 64 * j + 4)[0]};
  };
  CHECK(red(0, 0) < red(0, 1));
  CHECK(red(0, 1) < 255);
  CHECK(red(1, 0) == 255);
  CHECK(red(1, 1) == 255);
}

TEST_CASE("a matrix of many classes has a pixel for each, without names") {
  const std::vector<std::string> names(1000, "a class with a long name");
  const Image image = matrix_plot({.title = "t"}, std::vector<int64_t>(1000 * 1000, 1), names);
  CHECK(image.width() > 1000);
  CHECK(image.width() < 1100);
  CHECK_THROWS_WITH_AS(matrix_plot({}, std::vector<int64_t>(3), names), doctest::Contains("3 counts for 1000 names"),
                       ShapeError);
}

}  // namespace vitrail::data
