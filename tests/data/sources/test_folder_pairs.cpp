// Folders of images with a text beside each.
#include "tests/data/samples.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/data/sources/open_pairs.h"
#include "vitrail/data/sources/pack.h"

#include <doctest/doctest.h>

namespace vitrail::data {
namespace {

namespace fs = std::filesystem;
using Texts = std::vector<std::vector<std::string>>;

int number_of(const Pairs& pairs, int64_t index) { return test::first_pixel(pairs.images->get(index).image)[2]; }

}  // namespace

TEST_CASE("folders hold each image's text beside it, at any depth") {
  const test::TemporaryFolder temp;
  const fs::path root = temp.path() / "photos";
  test::write_file(root / "b/1.bmp", test::numbered_bmp(0, 1));
  test::write_file(root / "b/1.txt", "\n a cat \r\n");
  test::write_file(root / "a.v2.BMP", test::numbered_bmp(0, 2));
  test::write_file(root / "a.v2.TXT", "a dog");
  test::write_file(root / "none.bmp", test::numbered_bmp(0, 3));
  test::write_file(root / "blank.bmp", test::numbered_bmp(0, 4));
  test::write_file(root / "blank.txt", " \n");
  test::write_file(root / "._b.txt", "of macOS");
  const Pairs pairs = open_pairs(root.string(), "train");
  CHECK(pairs.captions == Texts{{"a dog"}, {"a cat"}});
  CHECK(number_of(pairs, 0) == 2);
  CHECK(number_of(pairs, 1) == 1);
  CHECK(pairs.left_out == 2);
  CHECK(pairs.images->name(1) == (root / "b/1.bmp").string());
  CHECK(pairs.images->notes().empty());

  const fs::path packed = temp.path() / "photos.h5";
  pack(packed, {{"train", pairs.images.get(), &pairs}});
  const Pairs copy = open_pairs(packed.string(), "train");
  CHECK(copy.captions == pairs.captions);
  CHECK(number_of(copy, 1) == 1);

  CHECK_THROWS_WITH_AS(open_pairs(root.string(), "train", {{"name"}}),
                       doctest::Contains("in .txt files have no kinds; 'name' was asked for"), DataError);
}

TEST_CASE("the parts of a folder of images and texts are its folders train and val") {
  const test::TemporaryFolder temp;
  test::write_file(temp.path() / "Train/1.bmp", test::numbered_bmp(0, 1));
  test::write_file(temp.path() / "Train/1.txt", "one");
  test::write_file(temp.path() / "valid/x/2.bmp", test::numbered_bmp(0, 2));
  test::write_file(temp.path() / "valid/x/2.txt", "two");
  const std::string root = temp.path().string();
  CHECK(pair_splits(root) == std::vector<std::string>{"train", "val"});
  CHECK(open_pairs(root, "train").captions == Texts{{"one"}});
  CHECK(open_pairs(root, "test").captions == Texts{{"two"}});
  fs::remove(temp.path() / "valid/x/2.txt");
  CHECK_THROWS_WITH_AS(open_pairs(root, "val"), doctest::Contains("none of its 1 images has a text beside it"),
                       DataError);
}

TEST_CASE("a text that is a link is not read unless links are followed") {
  const test::TemporaryFolder temp;
  test::write_file(temp.path() / "secret", "a secret");
  test::write_file(temp.path() / "photos/1.bmp", test::numbered_bmp(0, 1));
  test::write_file(temp.path() / "photos/2.bmp", test::numbered_bmp(0, 2));
  test::write_file(temp.path() / "photos/2.txt", "two");
  fs::create_symlink("../secret", temp.path() / "photos/1.txt");
  const std::string root = (temp.path() / "photos").string();
  const Pairs pairs = open_pairs(root, "train");
  CHECK(pairs.captions == Texts{{"two"}});
  CHECK(pairs.left_out == 1);
  REQUIRE(pairs.images->notes().size() == 1);
  CHECK(pairs.images->notes()[0].find("1 symbolic link was not followed") != std::string::npos);
  CHECK(open_pairs(root, "train", {.follow_symlinks = true}).captions == Texts{{"a secret"}, {"two"}});
}

}  // namespace vitrail::data
