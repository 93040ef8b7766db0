#include "vitrail/core/error.h"
#include "vitrail/data/draw/contact_sheet.h"
#include "vitrail/data/draw/draw.h"
#include "vitrail/data/draw/font.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace vitrail::data {
namespace {

Image filled(int64_t height, int64_t width, Color color) {
  Image image(height, width);
  fill_rectangle(image, 0, 0, height, width, color);
  return image;
}

int64_t count_red(const Image& image) {
  int64_t count = 0;
  for (int64_t y = 0; y < image.height(); ++y)
    for (int64_t x = 0; x < image.width(); ++x) count += image.at(y, x)[0] == 255 && image.at(y, x)[1] == 0;
  return count;
}

}  // namespace

TEST_CASE("a contact sheet places images in a grid") {
  const Color red{255, 0, 0};
  const std::vector<Image> images = {filled(8, 8, kBlack), filled(4, 4, red), filled(32, 16, kBlack)};
  const Image sheet = contact_sheet(images, {}, {.columns = 2, .cell = 8, .gap = 2});
  REQUIRE(sheet.size() == ImageSize{2 * 8 + 3 * 2, 2 * 8 + 3 * 2});
  CHECK(sheet.at(0, 0)[0] == 255);   // the border is white
  CHECK(sheet.at(2, 2)[0] == 0);     // the first image
  CHECK(sheet.at(2, 12)[1] == 0);    // the second, enlarged twice
  CHECK(count_red(sheet) == 64);     //
  CHECK(sheet.at(12, 2)[0] == 255);  // the third is shrunk to 8 x 4 and centred
  CHECK(sheet.at(12, 4)[0] == 0);
  CHECK(sheet.at(12, 12)[0] == 255);  // there is no fourth
}

TEST_CASE("captions stand below and stay in their cell") {
  const std::vector<Image> images(2, filled(16, 16, kBlack));
  const std::vector<std::string> captions = {"WWWWWWWWWWWW", ""};
  const Image sheet = contact_sheet(images, captions, {.columns = 2, .cell = 16, .gap = 4});
  REQUIRE(sheet.size() == ImageSize{4 + 16 + 4 + 7 + 4 + 4, 44});
  int64_t ink_below_first = 0, ink_below_second = 0;
  for (int64_t y = 21; y < sheet.height(); ++y)
    for (int64_t x = 0; x < sheet.width(); ++x) (x < 20 ? ink_below_first : ink_below_second) += sheet.at(y, x)[0] == 0;
  CHECK(ink_below_first > 20);
  CHECK(ink_below_second == 0);
}

TEST_CASE("a contact sheet needs images and a caption for each") {
  CHECK_THROWS_WITH_AS(contact_sheet({}, {}), doctest::Contains("there is no image"), ShapeError);
  const std::vector<Image> images(2, Image(2, 2));
  const std::vector<std::string> one = {"one"};
  CHECK_THROWS_WITH_AS(contact_sheet(images, one), doctest::Contains("1 captions for 2 images"), ShapeError);
}

TEST_CASE("drawing outside an image draws what is inside") {
  Image image = filled(4, 4, kBlack);
  fill_rectangle(image, -2, 3, 4, 9, kWhite);
  CHECK(image.at(1, 3)[0] == 255);
  CHECK(image.at(2, 3)[0] == 0);
  draw_image(image, filled(3, 3, kWhite), 2, -2);
  CHECK(image.at(2, 0)[0] == 255);
  CHECK(image.at(2, 1)[0] == 0);
  draw_line(image, {-10, -10}, {-20, -5}, 3, kWhite);
  draw_line(image, {50, 50}, {60, 60}, 3, kWhite);
  draw_text(image, "far away", 100, -500, kWhite);
  CHECK(image.at(0, 0)[0] == 0);
  draw_line(image, {0, 0.5}, {4, 0.5}, 1, kWhite);
  CHECK(image.at(0, 2)[0] == 255);
}

TEST_CASE("every printable character has ink of its own") {
  std::vector<std::string> seen;
  for (char c = '!'; c <= '~'; ++c) {
    std::string dots;
    for (int row = 0; row < kGlyphRows; ++row)
      for (int column = 0; column < kGlyphColumns; ++column) dots += glyph_dot(c, row, column) ? '#' : '.';
    CAPTURE(c);
    CHECK(dots.find('#') != std::string::npos);
    CHECK(std::find(seen.begin(), seen.end(), dots) == seen.end());
    seen.push_back(dots);
  }
  CHECK_FALSE(glyph_dot(' ', 3, 3));
  CHECK_FALSE(glyph_dot('\xe9', 3, 3));
  CHECK(text_width("ab", 2) == 22);
}

}  // namespace vitrail::data
