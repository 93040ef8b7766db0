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
  CHECK(pack(packed, {{"train", train.get()}, {"val", val.get()}}).size() == 6);
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
  CHECK(pack(packed, {{"train", set.get()}}).size() == 2);
  check_equal(*open_dataset(packed, "train"), *set);
}

TEST_CASE("only images that decode are packed, and broken ones are listed or left out") {
  const test::TemporaryFolder folder;
  const auto root = folder.path() / "set", packed = folder.path() / "set.h5";
  test::write_file(root / "a/1.bmp", test::bmp({1, 1, 1}));
  test::write_file(root / "a/2.bmp", test::bmp({2, 2, 2}).substr(0, 60));
  test::write_file(root / "b/3.jpg", "a text");
  test::write_file(root / "b/4.png", "");
  test::write_file(root / "b/5.bmp", test::bmp({5, 5, 5}));
  const auto set = open_image_folder(root.string());
  CHECK_THROWS_WITH_AS(
      pack(packed, {{"train", set.get()}}),
      doctest::Contains(("3 of 5 images are broken, so " + packed.string() + " was not written").c_str()), DataError);
  CHECK_THROWS_WITH_AS(pack(packed, {{"train", set.get()}}),
                       doctest::Contains("b/4.png: [decode_image] the file is empty"), DataError);
  CHECK_FALSE(std::filesystem::exists(packed));

  int64_t told = 0;
  const Packed result =
      pack(packed, {{"train", set.get()}},
           {.skip_broken = true, .tick = [&](int64_t done, int64_t all) { told = 100 * all + done; }});
  CHECK(told == 505);
  CHECK(result.images == std::vector<std::vector<int64_t>>{{0, 4}});
  REQUIRE(result.broken.size() == 3);
  CHECK(result.broken[0].name == (root / "a/2.bmp").string());
  const auto copy = open_dataset(packed.string(), "train");
  REQUIRE(copy->size() == 2);
  CHECK(test::first_pixel(copy->get(1).image)[0] == 5);
  CHECK(copy->label(1) == 1);

  std::filesystem::remove(root / "a/1.bmp");
  std::filesystem::remove(root / "b/5.bmp");
  const auto none = open_image_folder(root.string());
  CHECK_THROWS_WITH_AS(pack(packed, {{"train", none.get()}}, {.skip_broken = true}),
                       doctest::Contains("part 'train' has no image that can be read"), DataError);
}

TEST_CASE("the parts of a packed file are known, and a file named after its part opens") {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "set/a/1.bmp", test::bmp({1, 1, 1}));
  test::write_file(folder.path() / "set/b/2.bmp", test::bmp({2, 2, 2}));
  const auto set = open_image_folder((folder.path() / "set").string());
  const std::string two = (folder.path() / "two.h5").string(), plain = (folder.path() / "plain.h5").string();
  pack(two, {{"train", set.get()}, {"test", set.get()}});
  CHECK(dataset_splits(two) == std::vector<std::string>{"train", "test"});
  hdf5::Writer writer(plain);  // of another program, undivided
  writer.write("image", zeros({2, 1, 1, 3}, DType::u8));
  writer.close();
  CHECK(dataset_splits(plain) == std::vector<std::string>{"train"});
  std::filesystem::create_directory(folder.path() / "parts");
  pack(folder.path() / "parts/train.h5", {{"train", set.get()}});
  pack(folder.path() / "parts/val.h5", {{"val", set.get()}});
  CHECK(open_dataset((folder.path() / "parts").string(), "val")->size() == 2);
}

TEST_CASE("what cannot be packed leaves the old file") {
  const test::TemporaryFolder folder;
  const auto packed = folder.path() / "set.h5";
  test::write_text(packed, "old");
  test::write_file(folder.path() / "a/x/1.bmp", test::bmp({1, 1, 1}));
  test::write_file(folder.path() / "b/y/1.bmp", test::bmp({1, 1, 1}));
  const auto a = open_image_folder((folder.path() / "a").string()),
             b = open_image_folder((folder.path() / "b").string());
  CHECK_THROWS_WITH_AS(pack(packed, {{"train", a.get()}, {"val", b.get()}}),
                       doctest::Contains("part 'val' has the classes y, a part before it has x"), DataError);
  CHECK_THROWS_WITH_AS(pack(packed, {}), doctest::Contains("nothing to pack"), DataError);
  CHECK(test::read_text(packed) == "old");
}

}  // namespace vitrail::data
