#include "tests/data/samples.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/hdf5.h"
#include "vitrail/data/sources/array_dataset.h"
#include "vitrail/data/sources/image_folder.h"
#include "vitrail/data/sources/open_dataset.h"
#include "vitrail/data/sources/pack.h"

#include <doctest/doctest.h>

namespace vitrail::data {
namespace {

void check_equal(const Dataset& a, const Dataset& b) {
  REQUIRE(a.size() == b.size());
  CHECK(a.classes() == b.classes());
  for (int64_t i = 0; i < a.size(); ++i) {
    CHECK(a.label(i) == b.label(i));
    CHECK(a.get(i).image == b.get(i).image);
    CHECK(a.encoded(i) == b.encoded(i));
  }
}

}  // namespace

TEST_CASE("packed image files come back as they were, part by part") {
  const test::TemporaryFolder folder;
  for (int i = 0; i < 6; ++i)
    test::write_file(
        folder.path() / "root" / (i < 4 ? "train" : "val") / (i % 2 ? "b c" : "a") / (std::to_string(i) + ".bmp"),
        test::bmp({uint8_t(i), 7, 8}, uint32_t(i + 1), 2));
  const std::string root = (folder.path() / "root").string(), packed = (folder.path() / "set.h5").string();
  const auto train = open_dataset(root, "train"), val = open_dataset(root, "val");
  CHECK(pack(packed, {{"train", train.get()}, {"val", val.get()}}) == 6);
  CHECK(hdf5::is_sealed(packed));
  check_equal(*open_dataset(packed, "train"), *train);
  check_equal(*open_dataset(packed, "test"), *val);
  CHECK(open_dataset(packed, "train", {.labelled = false})->label(0) == kNoLabel);

  const std::string again = (folder.path() / "again.h5").string();
  pack(again, {{"train", train.get()}, {"val", val.get()}});
  CHECK(test::read_text(again) == test::read_text(packed));

  std::string bad = test::read_text(packed);
  bad[bad.size() / 2] = char(bad[bad.size() / 2] ^ 1);
  test::write_text(packed, bad);
  CHECK_THROWS_WITH_AS(open_dataset(packed, "train"), doctest::Contains("is damaged"), IoError);
}

TEST_CASE("sets of plain pixels are packed as pixels") {
  const test::TemporaryFolder folder;
  const std::string packed = (folder.path() / "set.h5").string();
  PixelArray array;
  array.images = arange(2 * 3 * 4 * 3, DType::i64).to(DType::u8).reshape({2, 3, 4, 3});
  array.labels = {1, 0};
  const auto set = make_array_dataset(std::move(array));
  CHECK(pack(packed, {{"train", set.get()}}) == 2);
  check_equal(*open_dataset(packed, "train"), *set);
}

TEST_CASE("what cannot be packed leaves the old file") {
  const test::TemporaryFolder folder;
  const auto packed = folder.path() / "set.h5";
  test::write_text(packed, "old");
  test::write_file(folder.path() / "a/x/1.bmp", test::bmp({1, 1, 1}));
  test::write_file(folder.path() / "b/y/1.bmp", test::bmp({1, 1, 1}));
  const auto a = open_image_folder((folder.path() / "a").string()),
             b = open_image_folder((folder.path() / "b").string());
  CHECK_THROWS_WITH_AS(pack(packed, {{"train", a.get()}, {"val", b.get()}}), doctest::Contains("classes of part 'val'"),
                       DataError);
  CHECK_THROWS_WITH_AS(pack(packed, {}), doctest::Contains("nothing to pack"), DataError);
  CHECK(test::read_text(packed) == "old");
}

}  // namespace vitrail::data
