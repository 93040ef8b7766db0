#include "tests/data/samples.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/data/sources/cifar.h"

#include <doctest/doctest.h>

namespace vitrail::data {
namespace {

/// labels, then planes of red, green and blue; the first pixel is {r, 20, 30}.
std::string record(const std::string& labels, uint8_t r) {
  std::string red(1024, 'r'), green(1024, 'g'), blue(1024, 'b');
  red[0] = char(r);
  green[0] = 20;
  blue[0] = 30;
  green[33] = 99;  // row 1, column 1
  return labels + red + green + blue;
}

}  // namespace

TEST_CASE("CIFAR batches are read plane by plane, in the order of the files") {
  const test::TemporaryFolder folder;
  const std::string a = (folder.path() / "a.bin").string(), b = (folder.path() / "b.bin").string();
  test::write_text(a, record({7}, 1) + record({2}, 2));
  test::write_text(b, record({9}, 3));
  const auto set = open_cifar({a, b}, CifarKind::cifar10);
  REQUIRE(set->size() == 3);
  CHECK(set->classes().size() == 10);
  CHECK(set->label(2) == 9);
  const Image image = set->get(1).image;
  CHECK(test::first_pixel(image) == std::array<int, 3>{2, 20, 30});
  CHECK(image.data()[(32 + 1) * 3 + 1] == 99);
  CHECK(set->name(2) == b + "[0]");

  test::write_text(a, record({7, 83}, 1));
  CHECK(open_cifar({a}, CifarKind::cifar100)->label(0) == 83);
}

TEST_CASE("CIFAR files of the wrong size or with impossible labels are refused") {
  const test::TemporaryFolder folder;
  const std::string path = (folder.path() / "a.bin").string();
  test::write_text(path, record({7}, 1) + "x");
  CHECK_THROWS_WITH_AS(open_cifar({path}, CifarKind::cifar10), doctest::Contains("3074 bytes are not a whole number"),
                       IoError);
  test::write_text(path, "");
  CHECK_THROWS_AS(open_cifar({path}, CifarKind::cifar10), IoError);
  test::write_text(path, record({10}, 1));
  CHECK_THROWS_WITH_AS(open_cifar({path}, CifarKind::cifar10), doctest::Contains("has label 10"), IoError);
}

}  // namespace vitrail::data
