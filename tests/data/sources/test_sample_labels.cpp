#include "tests/data/samples.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/data/sources/open_dataset.h"
#include "vitrail/data/sources/sample_labels.h"

#include <doctest/doctest.h>

namespace vitrail::data {
namespace {

const std::string kImage = test::bmp({1, 2, 3});

/// An archive with these members.
struct Archive {
  explicit Archive(const std::vector<test::TarItem>& items, bool zipped = false) {
    test::write_text(path(), zipped ? test::gzip(test::tar(items)) : test::tar(items));
  }
  std::string path() const { return (folder.path() / "shard.tar").string(); }
  std::unique_ptr<Dataset> open(const SourceOptions& options = {}) const { return open_tar_shards({path()}, options); }
  void refused(const char* message) const { CHECK_THROWS_WITH_AS(open(), doctest::Contains(message), DataError); }

  test::TemporaryFolder folder;
};

std::string labels_of(const Dataset& set) {
  std::string text;
  for (int64_t i = 0; i < set.size(); ++i) text += set.classes().at(size_t(set.label(i))) + " ";
  return text;
}

}  // namespace

TEST_CASE("the key of a sample is its name up to the first dot") {
  CHECK(key_of("000.seg.png") == "000");
  CHECK(key_of("a.b/000.png") == "a.b/000");
  CHECK(key_of("a/none") == "a/none");
}

TEST_CASE("labels of an archive are in .cls files beside the images, numbers or names") {
  for (const bool zipped : {false, true}) {
    const Archive numbers({{"0.bmp", kImage},
                           {"0.cls", "2\n"},
                           {"1.cls", "0"},
                           {"1.BMP", kImage},
                           {"2.image.bmp", kImage},
                           {"2.cls", "2"}},
                          zipped);
    CHECK(labels_of(*numbers.open()) == "2 0 2 ");
    CHECK(numbers.open()->classes().size() == 3);
    CHECK(numbers.open()->notes().empty());
    CHECK(labels_of(*numbers.open({.classes = {"ant", "bee", "cow"}})) == "cow ant cow ");
    CHECK(numbers.open({.labelled = false})->label(0) == kNoLabel);
    CHECK_THROWS_WITH_AS(numbers.open({.classes = {"ant", "bee"}}), doctest::Contains("labels run from 0 to 2"),
                         DataError);
  }
  const Archive names({{"0.bmp", kImage}, {"0.cls", "dog"}, {"1.bmp", kImage}, {"1.cls", "cat"}});
  CHECK(labels_of(*names.open()) == "dog cat ");
  CHECK(names.open()->classes() == std::vector<std::string>{"cat", "dog"});
}

TEST_CASE("labels may be members of .json files") {
  const Archive numbers({{"0.bmp", kImage},
                         {"0.json", R"({"filename": "x.JPEG", "label": 1})"},
                         {"1.bmp", kImage},
                         {"1.json", R"({"cls": 0})"}});
  CHECK(labels_of(*numbers.open()) == "1 0 ");
  // pandas writes whole numbers with a point where a column has gaps.
  const Archive points({{"0.bmp", kImage}, {"0.json", R"({"label": 1.0})"}});
  CHECK(labels_of(*points.open()) == "1 ");
  Archive({{"0.bmp", kImage}, {"0.json", R"({"label": 0.5})"}})
      .refused("shard.tar/0.json: 'label' is 0.5; a label is a name or a whole number");
  const Archive names({{"0.bmp", kImage}, {"0.json", R"({"class_name": "cat"})"}});
  CHECK(labels_of(*names.open()) == "cat ");
  const Archive folders({{"cat/0.bmp", kImage}, {"cat/0.json", R"({"width": 3})"}, {"dog/1.bmp", kImage}});
  CHECK(labels_of(*folders.open()) == "cat dog ");  // records without a label do not count
}

TEST_CASE("labels that are missing, mixed or damaged are refused by name") {
  Archive({{"0.bmp", kImage}, {"0.cls", "1"}, {"1.bmp", kImage}}).refused("shard.tar/1.bmp has no label in a .cls");
  Archive({{"0.bmp", kImage}, {"0.cls", "1"}, {"1.bmp", kImage}, {"1.cls", "cat"}})
      .refused("1 labels are numbers and 1 are names");
  Archive({{"0.bmp", kImage}, {"0.cls", "-1"}}).refused("labels run from -1 to -1");
  Archive({{"0.bmp", kImage}, {"0.json", "{"}}).refused("shard.tar/0.json: ");
}

TEST_CASE("the validation shard takes the names of the training shards") {
  const test::TemporaryFolder folder;
  test::write_text(folder.path() / "wds-train-0.tar", test::tar({{"0.bmp", kImage}, {"0.cls", "3"}}));
  test::write_text(folder.path() / "wds-val-0.tar", test::tar({{"0.bmp", kImage}, {"0.cls", "1"}}));
  const auto val = open_dataset(folder.path().string(), "val");
  CHECK(val->classes().size() == 4);
  CHECK(val->label(0) == 1);
}

}  // namespace vitrail::data
