#include "tests/data/samples.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/data/image/image_checks.h"
#include "vitrail/data/load/image_batch.h"
#include "vitrail/data/load/loader.h"
#include "vitrail/data/sources/folder_index.h"
#include "vitrail/data/sources/image_folder.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace vitrail::data {
namespace {

namespace fs = std::filesystem;

/// Sets an environment variable until the end of the scope.
class Environment final {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    const char* old = std::getenv(name);
    had_ = old != nullptr;
    if (had_) old_ = old;
    setenv(name, value.c_str(), 1);
  }
  ~Environment() { had_ ? setenv(name_, old_.c_str(), 1) : unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
  std::string old_;
  bool had_ = false;
};

}  // namespace

TEST_CASE("the first folder is the class, at any depth, sorted by bytes") {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "zebra/deep/er/1.bmp", test::numbered_bmp(1, 0));
  test::write_file(folder.path() / "Ant/2.BMP", test::numbered_bmp(0, 0));
  test::write_file(folder.path() / "zebra/1.bmp", test::numbered_bmp(1, 1));
  test::write_file(folder.path() / "zebra/notes.txt", "not an image");
  test::write_file(folder.path() / ".cache/3.bmp", "hidden");
  fs::create_directories(folder.path() / "empty.jpg");
  const auto set = open_image_folder(folder.path().string());
  REQUIRE(set->size() == 3);
  CHECK(set->classes() == std::vector<std::string>{"Ant", "zebra"});
  CHECK(set->name(0) == (folder.path() / "Ant/2.BMP").string());
  CHECK(set->name(1) == (folder.path() / "zebra/1.bmp").string());
  for (int64_t i = 0; i < 3; ++i) {
    const Sample sample = set->get(i);
    CHECK(sample.label == set->label(i));
    CHECK(test::first_pixel(sample.image)[0] == int(sample.label));
  }
  CHECK(open_image_folder(folder.path().string(), {.labelled = false})->classes().empty());
  CHECK(open_image_folder((folder.path() / "Ant").string())->label(0) == kNoLabel);

  test::write_file(folder.path() / "stray.bmp", test::bmp({1, 2, 3}));
  CHECK_THROWS_WITH_AS(open_image_folder(folder.path().string()), doctest::Contains("'stray.bmp' lies beside"),
                       DataError);
  CHECK(open_image_folder(folder.path().string(), {.labelled = false})->size() == 4);
}

TEST_CASE("symbolic links are followed only when asked, circles end") {
  const test::TemporaryFolder folder, elsewhere;
  test::write_file(elsewhere.path() / "x.bmp", test::bmp({9, 9, 9}));
  fs::create_directories(folder.path() / "a");
  fs::create_symlink(elsewhere.path() / "x.bmp", folder.path() / "a/file.bmp");
  fs::create_directory_symlink(elsewhere.path(), folder.path() / "a/folder");
  fs::create_directory_symlink(folder.path(), folder.path() / "a/circle");
  fs::create_symlink("nowhere", folder.path() / "a/dangling.bmp");
  CHECK_THROWS_WITH_AS(open_image_folder(folder.path().string()),
                       doctest::Contains("4 symbolic links were not followed"), DataError);
  const auto set = open_image_folder(folder.path().string(), {.follow_symlinks = true});
  CHECK(set->size() == 3);
  CHECK(set->name(0).ends_with("a/dangling.bmp"));
  CHECK_THROWS_AS(set->get(0), IoError);
  CHECK(test::first_pixel(set->get(1).image) == std::array<int, 3>{9, 9, 9});
}

TEST_CASE("files of kinds that are not read are counted, and a class of them alone ends the reading") {
  const test::TemporaryFolder folder;
  const std::string root = folder.path().string();
  for (const char* name : {"a/1.bmp", "b/1.BMP", "b/2.jfif"}) test::write_file(folder.path() / name, "x");
  for (const char* name : {"a/1.txt", "a/.DS_Store", "a/._1.bmp", "b/Thumbs.db", "b/.ipynb_checkpoints/1.bmp",
                           "__MACOSX/a/._1.bmp", "@eaDir/1.bmp", "classes.txt"})
    test::write_file(folder.path() / name, "x");
  CHECK(open_image_folder(root)->size() == 3);
  CHECK(open_image_folder(root)->notes().empty());
  fs::create_directories(folder.path() / "empty");
  CHECK(open_image_folder(root)->notes() ==
        std::vector<std::string>{root + ": the folder 'empty' is empty, so it is no class"});
  fs::remove(folder.path() / "empty");

  for (const char* name : {"a/2.tiff", "a/3.GIF", "b/noending"}) test::write_file(folder.path() / name, "x");
  CHECK(open_image_folder(root)->notes() ==
        std::vector<std::string>{root +
                                 ": 3 files are of kinds that are not read (without ending 1, .gif 1, .tiff 1); " +
                                 image_kinds("and") + " are read"});
  for (int i = 0; i < 12; ++i) test::write_file(folder.path() / "c/deep" / (std::to_string(i) + ".heic"), "x");
  CHECK_THROWS_WITH_AS(open_image_folder(root),
                       doctest::Contains("all 12 images of class 'c' among them; convert them"), DataError);
  CHECK(open_image_folder(root, {.labelled = false})->size() == 3);
  CHECK(open_image_folder(root, {.classes = {"a", "b"}})->size() == 3);  // c is no class
  CHECK_THROWS_AS(open_image_folder(root, {.classes = {"a", "b", "c"}}), DataError);
  CHECK_THROWS_WITH_AS(open_image_folder((folder.path() / "c").string()),
                       doctest::Contains(("holds no " + image_kinds("or") + " files; ").c_str()), DataError);
}

TEST_CASE("links that are not followed are counted, and a class of them alone ends the reading") {
  const test::TemporaryFolder folder, elsewhere;
  const std::string root = folder.path().string();
  for (const char* name : {"a/1.bmp", "b/1.bmp"}) test::write_file(folder.path() / name, test::bmp({1, 2, 3}));
  for (const char* name : {"1.bmp", "2.bmp"}) test::write_file(elsewhere.path() / name, test::bmp({1, 2, 3}));
  for (const char* name : {"2.bmp", "3.bmp"})
    fs::create_symlink(elsewhere.path() / "1.bmp", folder.path() / "a" / name);
  CHECK(open_image_folder(root)->size() == 2);
  CHECK(open_image_folder(root)->notes() ==
        std::vector<std::string>{root + ": 2 symbolic links were not followed; " + std::string(kFollowLinks)});
  CHECK(open_image_folder(root, {.follow_symlinks = true})->size() == 4);
  CHECK(open_image_folder(root, {.follow_symlinks = true})->notes().empty());

  fs::create_directory_symlink(elsewhere.path(), folder.path() / "c");  // a class that is a link
  CHECK_THROWS_WITH_AS(open_image_folder(root),
                       doctest::Contains("3 symbolic links were not followed, all 1 images of class "
                                         "'c' among them; data.follow_symlinks=true"),
                       DataError);
  CHECK(open_image_folder(root, {.follow_symlinks = true})->classes() == std::vector<std::string>{"a", "b", "c"});
  fs::remove(folder.path() / "c");
  fs::create_directories(folder.path() / "d");  // a class of links
  fs::create_symlink(elsewhere.path() / "2.bmp", folder.path() / "d/1.bmp");
  CHECK_THROWS_WITH_AS(open_image_folder(root), doctest::Contains("all 1 images of class 'd'"), DataError);
}

TEST_CASE("a folder without images, or none, is refused by name") {
  const test::TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(open_image_folder(folder.path().string()), doctest::Contains("holds no JPEG, PNG"), DataError);
  CHECK_THROWS_WITH_AS(open_image_folder((folder.path() / "none").string()), doctest::Contains("cannot list folder"),
                       IoError);
}

TEST_CASE("the index of a large folder is kept, used while nothing changed, and done without if damaged") {
  const test::TemporaryFolder folder, cache;
  const Environment home("XDG_CACHE_HOME", cache.path().string());
  const std::string root = (folder.path() / "root").string(), file = index_cache_path(root, false);
  for (int i = 0; i < 2'000; ++i) {
    if (i % 1000 == 0) fs::create_directories(folder.path() / "root" / std::to_string(i / 1000));
    test::write_text(folder.path() / "root" / std::to_string(i / 1000) / (std::to_string(i) + ".jpg"), "");
  }
  test::write_text(folder.path() / "root/1/1.tiff", "");
  fs::create_symlink("1.tiff", folder.path() / "root/1/link.jpg");
  const FolderIndex fresh = index_folder(root, false);
  CHECK(fresh.unread.at("1") == Unread{{{".tiff", 1}}, 1});
  CHECK(fresh.files.size() == 2'000);
  CHECK_FALSE(fs::exists(file));  // no cache: a folder may change again within the same tick of the clock

  const auto earlier = fs::file_time_type::clock::now() - std::chrono::hours(1);
  const auto age = [&] {
    for (const auto& [name, time] : fresh.folders) fs::last_write_time(fs::path(root) / name, earlier);
  };
  age();
  CHECK(index_folder(root, false).files == fresh.files);
  REQUIRE(fs::exists(file));
  CHECK(index_folder(root, false).unread == fresh.unread);
  fs::rename(fs::path(root) / "1/1999.jpg", fs::path(root) / "1/new.jpg");
  age();  // hides the change, which shows that the cache was read
  CHECK(index_folder(root, false).files == fresh.files);
  fs::last_write_time(fs::path(root) / "1", earlier + std::chrono::seconds(1));
  CHECK(index_folder(root, false).files.back() == "1/new.jpg");

  const std::string good = test::read_text(file);
  for (size_t at = 0; at < good.size(); at += good.size() / 5) {
    std::string bad = good;
    bad[at] = char(bad[at] ^ 1);
    test::write_text(file, bad);
    CHECK(index_folder(root, false).files.back() == "1/new.jpg");
  }
  test::write_text(file, good.substr(0, 100));
  CHECK(index_folder(root, false).files.size() == 2'000);

  const test::TemporaryFolder other;
  test::write_text(other.path() / "file", "");
  const Environment unusable("XDG_CACHE_HOME", (other.path() / "file").string());
  CHECK(index_folder(root, false).files.size() == 2'000);
}

TEST_CASE("thirty broken images of a thousand, in ten ways, are skipped by name and labels stay right") {
  const test::TemporaryFolder folder;
  const auto path = [&](int i) { return folder.path() / std::to_string(i % 10) / (std::to_string(1000 + i) + ".jpg"); };
  for (int i = 0; i < 1000; ++i) test::write_file(path(i), test::numbered_bmp(i % 10, i));
  const std::string good = test::numbered_bmp(0, 0),
                    huge = test::bmp({1, 2, 3}, 1, 1).replace(18, 8, "\xe8\xfd\0\0\xe8\xfd\0\0", 8);
  const std::vector<std::string> contents = {
      "",                                  // empty
      good.substr(0, 20),                  // cut in the header
      "text in an image's clothes",        // wrong ending
      huge,                                // 65,000 x 65,000 pixels in the header
      std::string("\xff\xd8\xff\xe0", 4),  // a JPEG's first bytes alone
      std::string("\x89PNG\r\n\x1a\n"),    // a PNG's
      std::string(1000, '\0'),             // zeros
      "P6 1 1 65535 abcdef",               // PNM, which is not read
      "GIF89a\x01\x01",                    // GIF, which is not read
      "<svg></svg>",                       // a drawing
  };
  std::vector<std::string> broken;
  for (int i = 0; i < 30; ++i) {
    const int at = 17 + i * 31;
    test::write_text(path(at), contents[size_t(i % 10)]);
    broken.push_back(path(at).string());
  }
  std::sort(broken.begin(), broken.end());
  const auto set = open_image_folder(folder.path().string());
  REQUIRE(set->size() == 1000);

  LoaderOptions options;
  options.batch_size = 64;
  options.shuffle = true;
  options.workers = 3;
  const Transform first_pixel = [](const Image& image, Rng&, std::span<float> out) {
    std::copy_n(image.data(), 3, out.data());
  };
  const auto run = [&](BadFiles& bad) {
    Loader loader(ImageBatch(*set, first_pixel, {3}, bad), options);
    int64_t images = 0;
    while (const std::optional<Batch> batch = loader.next()) {
      for (int64_t i = 0; i < batch->size(); ++i, ++images)
        CHECK((*batch)["images"].data<float>()[3 * i] == float((*batch)["labels"].data<int64_t>()[i]));
    }
    return images;
  };
  BadFiles skip(OnError::skip, 0.03), strict(OnError::fail), too_many(OnError::skip, 0.01);
  CHECK(run(skip) == 1000);
  std::vector<std::string> names;
  for (const BadFile& file : skip.list()) names.push_back(file.name);
  CHECK(names == broken);
  CHECK_THROWS_AS(run(strict), DataError);
  CHECK_THROWS_WITH_AS(
      run(too_many), doctest::Contains("more of the 1000 images are broken than data.max_bad 0.01 allows"), DataError);
}

}  // namespace vitrail::data
