#include "tests/data/samples.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/data/sources/array_dataset.h"
#include "vitrail/data/sources/open_dataset.h"
#include "vitrail/data/sources/register_source.h"
#include "vitrail/data/sources/source_parts.h"

#include <doctest/doctest.h>

#include <cstdlib>

namespace vitrail::data {
namespace {

namespace fs = std::filesystem;

std::string kinds(const std::string& path) {
  std::string out;
  for (const SourcePart& part : find_parts(path))
    out += (out.empty() ? "" : ", ") + (part.split.empty() ? std::string("-") : part.split) + ": " +
           to_string(part.kind) + " " + std::to_string(part.paths.size());
  return out;
}

}  // namespace

TEST_CASE("a split is known by how a name begins") {
  CHECK(split_of("train-00001.tar.gz") == "train");
  CHECK(split_of("train") == "train");
  CHECK(split_of("validation.tar") == "val");
  CHECK(split_of("val_2") == "val");
  CHECK(split_of("t10k-images") == "test");
  CHECK(split_of("trains") == "");
  CHECK(split_of("values") == "");
  for (const char* name :
       {"Training", "TRAIN", "train2017", "Train_00", "trainset", "training-0.tar", "TrainData", "trainImages"})
    CHECK(split_of(name) == "train");
  for (const char* name : {"Validation", "VALID", "dev", "val2017"}) CHECK(split_of(name) == "val");
  for (const char* name : {"Testing", "Test", "eval", "Evaluation", "T10K-images"}) CHECK(split_of(name) == "test");
  CHECK(split_of("seg_train") == "");
  CHECK(split_within("seg_train") == "train");
  CHECK(split_within("imagenet1k-train-0001.tar") == "train");
  CHECK(split_within("images.val.tar") == "val");
  CHECK(split_within("constraint.tar") == "");
  CHECK(split_within("myTrainingSet") == "train");
  CHECK(is_part_name("Testing"));
  CHECK_FALSE(is_part_name("test_tube"));
  CHECK(serving_split({"train", "test"}, "val") == "test");
  CHECK(serving_split({"train", "val", "test"}, "test") == "test");
  CHECK(serving_split({""}, "train") == "");
  CHECK_FALSE(serving_split({"train"}, "val"));
  CHECK_FALSE(serving_split({""}, "val"));
}

TEST_CASE("the kind and parts of what lies at a path are found") {
  const test::TemporaryFolder folder;
  const auto make = [&](const std::string& root, std::initializer_list<const char*> files) {
    for (const char* file : files) test::write_file(folder.path() / root / file, "x");
    return (folder.path() / root).string();
  };
  CHECK(kinds(make("shards", {"train-0.tar.gz", "train-1.tar.gz", "test.tar", "classes.txt"})) ==
        "test: tar archives 1, train: tar archives 2");
  CHECK(kinds(make("numbered", {"000.tar", "001.tar"})) == "-: tar archives 2");
  CHECK(kinds(make("cifar10", {"data_batch_1.bin", "data_batch_2.bin", "test_batch.bin", "batches.meta.txt"})) ==
        "train: CIFAR-10 2, test: CIFAR-10 1");
  CHECK(kinds(make("cifar100", {"train.bin", "test.bin"})) == "train: CIFAR-100 1, test: CIFAR-100 1");
  CHECK(kinds(make("mnist", {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte",
                             "t10k-labels-idx1-ubyte"})) == "test: IDX 2, train: IDX 2");
  CHECK(kinds(make("imagenet", {"train/n01/1.JPEG", "val/n01/2.JPEG"})) == "train: images 1, val: images 1");
  CHECK(kinds(make("mixed", {"train/0.tar", "train/1.tar", "test/a/1.jpg"})) ==
        "test: images 1, train: tar archives 2");
  CHECK(kinds(make("classes", {"cat/1.jpg", "dog/2.jpg"})) == "-: images 1");
  CHECK(kinds(make("flat", {"1.jpg", "2.jpg"})) == "-: images 1");
  CHECK(kinds(make("h5", {"all.h5"})) == "-: HDF5 1");
  CHECK(kinds(make("named", {"in1k-train-0.tar", "in1k-train-1.tar", "in1k-validation-0.tar"})) ==
        "train: tar archives 2, val: tar archives 1");
  CHECK(kinds(make("loose", {"x-images-idx3-ubyte", "x-labels-idx1-ubyte"})) == "-: IDX 2");
  CHECK(kinds((folder.path() / "loose/x-images-idx3-ubyte").string()) == "-: IDX 2");
  CHECK(kinds((folder.path() / "loose/x").string()) == "-: IDX 2");
  CHECK(kinds(make("h5s", {"train.h5", "val.h5"})) == "train: HDF5 1, val: HDF5 1");
  CHECK(kinds((folder.path() / "numbered/000.tar").string()) == "-: tar archives 1");

  const std::string two =
      make("two", {"a-train-images-idx3-ubyte", "b-train-images-idx3-ubyte", "b-test-images-idx3-ubyte"});
  CHECK_THROWS_WITH_AS(find_parts(two), doctest::Contains("several IDX datasets, name one"), DataError);
  CHECK(kinds(two + "/b") == "test: IDX 1, train: IDX 1");
  CHECK_THROWS_WITH_AS(find_parts(two + "/c"), doctest::Contains("does not exist"), DataError);
  CHECK_THROWS_WITH_AS(find_parts(make("h5many", {"a.h5", "b.h5"})), doctest::Contains("name one of them"), DataError);
  CHECK_THROWS_WITH_AS(find_parts(make("papers", {"a.pdf"})),
                       doctest::Contains("1 files and no dataset: a.pdf; accepted are"), DataError);
  CHECK_THROWS_WITH_AS(find_parts((folder.path() / "papers/a.pdf").string()), doctest::Contains("of an unknown format"),
                       DataError);
  fs::create_directories(folder.path() / "empty");
  CHECK_THROWS_WITH_AS(find_parts((folder.path() / "empty").string()), doctest::Contains("it is empty"), DataError);
}

TEST_CASE("folders are parts in any spelling and case, and an unclear choice is refused") {
  const test::TemporaryFolder folder;
  const auto make = [&](const std::string& root, std::initializer_list<const char*> folders) {
    for (const char* name : folders) test::write_file(folder.path() / root / name / "a/1.jpg", "x");
    return (folder.path() / root).string();
  };
  const std::string both = "test: images 1, train: images 1";
  const auto found = [&](const std::string& path) {
    std::string text = kinds(path);  // in the order of the folders' names
    return text == "train: images 1, test: images 1" ? both : text;
  };
  CHECK(found(make("kaggle", {"Training", "Testing"})) == both);
  CHECK(found(make("shout", {"TRAIN", "TEST"})) == both);
  CHECK(found(make("intel", {"seg_train", "seg_test", "seg_pred"})) == both);
  CHECK(found(make("mixed", {"train_images", "test_data"})) == both);
  CHECK(found(make("coco", {"train2017", "val2017", "annotations"})) == "train: images 1, val: images 1");
  CHECK(found(make("beside", {"train", "test_images", "masks"})) == both);
  CHECK(found(make("junk", {"train", "test", "__MACOSX", ".git"})) == both);
  CHECK(found(make("vehicles", {"bullet_train", "car", "bus"})) == "-: images 1");

  const std::string lab = make("lab", {"test_tube", "train_station", "beaker"});
  CHECK_THROWS_WITH_AS(find_parts(lab), doctest::Contains("test_tube, train_station look like parts"), DataError);
  test::write_text(folder.path() / "lab/classes.txt", "beaker\ntest_tube\ntrain_station\n");
  CHECK(kinds(lab) == "-: images 1");
  CHECK_THROWS_WITH_AS(open_dataset(make("twice", {"train", "valid", "dev"}), "val"),
                       doctest::Contains("twice/valid are taken for the part 'val'"), DataError);
  CHECK(open_dataset((folder.path() / "twice").string(), "train")->size() == 1);

  const auto flat = [&](const char* name) { test::write_file(folder.path() / "cifar" / name / "1.jpg", "x"); };
  for (const char* name : {"train", "bus", "car"}) flat(name);
  CHECK_THROWS_WITH_AS(find_parts((folder.path() / "cifar").string()),
                       doctest::Contains("'train' may be a part or a class"), DataError);
  test::write_text(folder.path() / "cifar/classes.txt", "bus\ncar\ntrain\n");
  CHECK(open_dataset((folder.path() / "cifar").string(), "train")->classes().size() == 3);
}

TEST_CASE("a folder too many above the classes, or parts in their place, is refused with what was found") {
  const test::TemporaryFolder folder;
  const auto refused = [&](const std::string& root, std::initializer_list<const char*> folders, const char* message) {
    CAPTURE(root);
    for (const char* name : folders) test::write_file(folder.path() / root / name / "1.bmp", test::bmp({1, 2, 3}));
    CHECK_THROWS_WITH_AS(open_dataset((folder.path() / root).string(), "train"), doctest::Contains(message), DataError);
    CHECK(open_dataset((folder.path() / root).string(), "train", {.labelled = false})->size() > 0);
  };
  refused("twice", {"train/train/a", "train/train/b", "train/train/c", "val/train/a"},
          "twice/train: all 3 images lie in the one folder 'train', which has 3 folders (a, b, c)");
  // Kaggle's training_set/training_set/cats: the way forward names both places.
  refused("kaggle", {"training_set/training_set/cats", "training_set/training_set/dogs"},
          "kaggle/training_set/training_set (and data.val_root=FOLDER for the images to evaluate on)");
  refused("above", {"images/cat", "images/dog"}, "the one folder 'images', which has 2 folders (cat, dog)");
  refused("deep", {"x/y/cat", "x/y/dog"}, "the one folder 'x/y', which has 2 folders (cat, dog)");
  refused("wrapped", {"mine/train/a", "mine/val/a"}, "the one folder 'mine', which has 2 folders (train, val)");
  refused("again", {"a", "b", "cells/a", "cells/b"}, "the folder 'cells' has folders with the names of classes");
  refused("inside", {"cat/train", "cat/val", "dog/train", "dog/val"}, "each class folder holds parts (train, val)");
  const std::string whole = (folder.path() / "wrapped").string();
  CHECK_THROWS_WITH_AS(open_dataset(whole, "train"), doctest::Contains(("data.root=" + whole + "/mine").c_str()),
                       DataError);
  test::write_file(folder.path() / "high.tar", test::tar({{"train/a/1.bmp", "x"}, {"train/b/2.bmp", "x"}}));
  CHECK_THROWS_WITH_AS(open_dataset((folder.path() / "high.tar").string(), "train"),
                       doctest::Contains("a folder too many: make the archive without it"), DataError);
  test::write_file(folder.path() / "parts.tar", test::tar({{"train/a/1.bmp", "x"}, {"val/a/2.bmp", "x"}}));
  CHECK_THROWS_WITH_AS(open_dataset((folder.path() / "parts.tar").string(), "train"),
                       doctest::Contains("its folders (train, val) are parts, not classes"), DataError);
}

TEST_CASE("the message about a part that is not there says what to do") {
  const test::TemporaryFolder folder;
  for (const char* file : {"a/1.bmp", "b/1.bmp"}) test::write_file(folder.path() / file, test::bmp({1, 2, 3}));
  CHECK_THROWS_WITH_AS(
      open_dataset(folder.path().string(), "val"),
      doctest::Contains("no part 'val'; there is: undivided data (images); data.val_fraction=0.1 holds "
                        "back a tenth of it to evaluate on, data.val_split=train"),
      DataError);
  std::filesystem::create_directory(folder.path() / "eval");
  std::filesystem::rename(folder.path() / "a", folder.path() / "eval/a");
  CHECK_THROWS_WITH_AS(open_dataset(folder.path().string(), "train"),
                       doctest::Contains("no part 'train'; there is: test (images); data.train_split=test"), DataError);
}

TEST_CASE("parts share their labels: from classes.txt, or from the folders of train") {
  const test::TemporaryFolder folder;
  const std::string root = folder.path().string();
  for (const char* file : {"train/ant/1.bmp", "train/bee/2.bmp", "train/cow/3.bmp", "val/cow/4.bmp"})
    test::write_file(folder.path() / file, test::bmp({1, 2, 3}));
  CHECK(open_dataset(root, "val")->label(0) == 2);
  CHECK(open_dataset(root, "test")->size() == 1);
  test::write_text(folder.path() / "classes.txt", "cow\r\nbee\nant\n");
  CHECK(open_dataset(root, "val")->label(0) == 0);
  CHECK(open_dataset(root, "train")->label(0) == 2);
  CHECK(open_dataset(root, "val", {.labelled = false})->label(0) == kNoLabel);
  test::write_file(folder.path() / "val/dog/5.bmp", test::bmp({1, 2, 3}));
  CHECK_THROWS_WITH_AS(open_dataset(root, "val"),
                       doctest::Contains("unknown class folders: dog; the known classes are"), DataError);
  fs::remove_all(folder.path() / "val");
  CHECK_THROWS_WITH_AS(open_dataset(root, "val"), doctest::Contains("no part 'val'; there is: train (images)"),
                       DataError);
}

TEST_CASE("undivided data is known before it is opened, and opens as a whole") {
  const test::TemporaryFolder folder;
  const std::string root = (folder.path() / "own").string();
  for (const char* file : {"own/ant/1.bmp", "own/bee/2.bmp", "parts/train/ant/1.bmp"})
    test::write_file(folder.path() / file, test::bmp({1, 2, 3}));
  CHECK(is_undivided(root));
  CHECK_THROWS_AS(open_dataset(root, "val"), DataError);
  CHECK(open_dataset(root, "")->size() == 2);
  const std::string archive = (folder.path() / "own.tar").string();
  test::write_text(archive, test::tar({{"ant/1.bmp", test::bmp({1, 2, 3})}, {"bee/1.bmp", test::bmp({1, 2, 3})}}));
  CHECK(is_undivided(archive));
  CHECK(open_dataset(archive, "")->classes().size() == 2);

  const std::string parts = (folder.path() / "parts").string();
  CHECK_FALSE(is_undivided(parts));
  CHECK_FALSE(is_undivided((folder.path() / "nowhere").string()));
}

TEST_CASE("a registered source opens its paths, before the built-in formats") {
  const auto open = [](const std::string& path, std::string_view split, const SourceOptions&) {
    PixelArray array;
    array.images = zeros({split == "train" ? std::stoll(path.substr(6)) : 1, 2, 2, 3}, DType::u8);
    array.sources = {{path, array.images.size(0)}};
    return make_array_dataset(std::move(array));
  };
  const DatasetSource blanks{
      .name = "blanks", .recognises = [](const std::string& path) { return path.starts_with("blank:"); }, .open = open};
  CHECK_THROWS_WITH_AS(open_dataset("blank:3", "train"), doctest::Contains("blank:3 does not exist"), DataError);
  register_source(blanks);
  CHECK(open_dataset("blank:3", "train")->size() == 3);
  CHECK(open_dataset("blank:3", "val")->size() == 1);
  CHECK(open_dataset("blank:3", "test")->size() == 1);  // falls back to "val"
  CHECK(dataset_splits("blank:3") == std::vector<std::string>{"train", "val"});
  CHECK_THROWS_WITH_AS(open_dataset("blank:3", "extra"),
                       "[dataset] blank:3 has no part 'extra'; the source 'blanks' has: train, val", DataError);
  CHECK_THROWS_WITH_AS(register_source(blanks), doctest::Contains("there is already a source 'blanks'"), ConfigError);
  CHECK_THROWS_WITH_AS(register_source({.name = "half", .recognises = blanks.recognises, .open = {}}),
                       doctest::Contains("'half' needs both"), ConfigError);
}

TEST_CASE("the digits that ship with the program open by their folder") {
  const std::string root = VITRAIL_SOURCE_DIR "/recipes/assets/digits8";
  const auto train = open_dataset(root, "train"), val = open_dataset(root, "val");
  CHECK(train->size() == 1437);
  CHECK(val->size() == 360);
  CHECK(train->classes().size() == 10);
  CHECK(train->get(0).image.height() == 8);
}

TEST_CASE("development data opens as its notes say") {
  const char* data = std::getenv("VITRAIL_DATA");
  if (data == nullptr) {
    MESSAGE("not run: set VITRAIL_DATA to the folder that holds cifar10, clothing and digits");
    return;
  }
  const std::string root = data;
  const auto cifar = open_dataset(root + "/cifar10", "val");
  CHECK(cifar->size() == 8000);
  CHECK(cifar->classes()[9] == "truck");
  CHECK(cifar->get(7).image.width() == 32);
  CHECK(open_dataset(root + "/clothing", "test")->size() == 341);
  CHECK(open_dataset(root + "/clothing", "train")->size() == 3068);
  CHECK(open_dataset(root + "/digits/mnist10k", "train")->size() == 8000);
  const auto idx = open_dataset(root + "/digits/digits8", "test");
  for (const char* name : {"digits8_contiguous.h5", "digits8_chunked_gzip.h5"}) {
    const auto hdf5 = open_dataset(root + "/digits/" + name, "test");
    REQUIRE(hdf5->size() == idx->size());
    CHECK(hdf5->classes() == idx->classes());
    for (int64_t i = 0; i < idx->size(); ++i) {
      CHECK(hdf5->label(i) == idx->label(i));
      CHECK(hdf5->get(i).image == idx->get(i).image);
    }
  }
}

}  // namespace vitrail::data
