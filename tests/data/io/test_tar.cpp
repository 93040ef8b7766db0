#include "tests/data/samples.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/data/image/image_checks.h"
#include "vitrail/data/io/gzip.h"
#include "vitrail/data/io/tar.h"
#include "vitrail/data/sources/tar_shards.h"

#include <doctest/doctest.h>

namespace vitrail::data {
namespace {

using test::TarItem;

std::vector<TarMember> index_of(const std::string& archive) {
  return read_tar_index(test::bytes_of(archive), "x.tar").members;
}

std::string pax_record(const std::string& text) {  // text is "key=value"
  size_t length = text.size() + 3;
  while (std::to_string(length).size() + text.size() + 2 != length) ++length;
  return std::to_string(length) + " " + text + "\n";
}

}  // namespace

TEST_CASE("a tar index names each file and where it lies") {
  const std::string archive =
      test::tar({{"cat/", "", '5'}, {"./cat/1.jpg", "abc"}, {"dog/2.jpg", std::string(600, 'd')}});
  const auto members = index_of(archive);
  REQUIRE(members.size() == 2);
  CHECK(members[0].name == "cat/1.jpg");
  CHECK(archive.substr(members[0].offset, members[0].size) == "abc");
  CHECK(archive.substr(members[1].offset, members[1].size) == std::string(600, 'd'));
}

TEST_CASE("long names come from prefixes, GNU headers and pax headers") {
  const std::string folder(90, 'f'), file(90, 'g'), longer = "c/" + std::string(300, 'n') + ".png";
  CHECK(index_of(test::tar({{file, "x", '0', "", "", folder}}))[0].name == folder + "/" + file);
  CHECK(index_of(test::tar({{"././@LongLink", longer + '\0', 'L'}, {"short", "x"}}))[0].name == longer);
  CHECK(index_of(test::tar({{"pax", pax_record("path=" + longer), 'x'}, {"short", "x"}}))[0].name == longer);
  const auto sized = index_of(test::tar({{"pax", pax_record("size=3"), 'x'}, {"a", "abc", '0', "00000000000"}}));
  CHECK(sized[0].size == 3);
  CHECK(index_of(test::tar({{"pax", pax_record("comment=made today"), 'g'}, {"a", "b"}})).size() == 1);
}

TEST_CASE("sizes may be octal or base-256, but not negative or beyond the file") {
  const std::string base256 = '\x80' + std::string(10, '\0') + '\x03';
  CHECK(index_of(test::tar({{"a", "abc", '0', base256}}))[0].size == 3);
  CHECK_THROWS_WITH_AS(index_of(test::tar({{"a", "abc", '0', std::string(12, '\xff')}})),
                       doctest::Contains("negative or not a number"), IoError);
  CHECK_THROWS_WITH_AS(index_of(test::tar({{"a", "abc", '0', '\x80' + std::string(11, '\x7f')}})),
                       doctest::Contains("negative or not a number"), IoError);
  CHECK_THROWS_WITH_AS(index_of(test::tar({{"a", "abc", '0', "77777777777"}})), doctest::Contains("bytes are left"),
                       IoError);
  CHECK_THROWS_WITH_AS(index_of(test::tar({{"a", "abc", '0', "-0000000001"}})),
                       doctest::Contains("negative or not a number"), IoError);
}

TEST_CASE("what could escape or deceive is refused by name") {
  const struct {
    TarItem item;
    const char* message;
  } cases[] = {
      {{"../evil.jpg", "x"}, "member '../evil.jpg' points outside"},
      {{"a/../../evil.jpg", "x"}, "points outside"},
      {{"/etc/passwd.jpg", "x"}, "absolute name"},
      {{"link.jpg", "", '2', "", "/etc/passwd"}, "is a link"},
      {{"link.jpg", "", '1', "", "../other"}, "is a link"},
      {{"holes.jpg", "x", 'S'}, "is sparse"},
      {{"pax", pax_record("GNU.sparse.major=1"), 'x'}, "sparse"},
      {{"device", "", '3'}, "of type '3'"},
      {{"././@LongLink", std::string(5000, 'n'), 'L'}, "at most 4096"},
      {{"pax", "99 path=a\n", 'x'}, "damaged pax header"},
      {{"pax", "9 path=a\n9", 'x'}, "damaged pax header"},
      {{"", "x"}, "without a name"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.item.name);
    CHECK_THROWS_WITH_AS(index_of(test::tar({{"first.jpg", "1"}, c.item})), doctest::Contains(c.message), IoError);
  }
  CHECK_THROWS_WITH_AS(index_of(test::tar({{"a.jpg", "1"}, {"./a.jpg", "2"}})),
                       doctest::Contains("'a.jpg' is there twice"), IoError);
}

TEST_CASE("a damaged or shortened archive is refused wherever it was cut") {
  const std::string archive = test::tar({{"a.jpg", std::string(700, 'a')}, {"b.jpg", "b"}});
  constexpr size_t kSecond = 3 * 512;  // where the second member begins
  for (size_t cut = 0; cut + 1024 < archive.size(); cut += 64) {
    CAPTURE(cut);
    if (cut != kSecond) CHECK_THROWS_AS(index_of(archive.substr(0, cut)), IoError);
  }
  CHECK(index_of(archive.substr(0, archive.size() - 512)).size() == 2);  // one block of the end mark is enough
  for (size_t at = 0; at < 512; at += 7) {
    std::string damaged = archive;
    damaged[at] = char(damaged[at] ^ 0x40);
    CAPTURE(at);
    CHECK_THROWS_WITH_AS(index_of(damaged), doctest::Contains("checksum"), IoError);
  }
}

TEST_CASE("an archive that ends between two members is read, and says so") {
  const std::string archive = test::tar({{"a.jpg", "a"}, {"b.jpg", "b"}});
  const auto read = [&](size_t size) { return read_tar_index(test::bytes_of(archive.substr(0, size)), "x.tar"); };
  CHECK(read(archive.size()).ended);
  for (const size_t members : {1, 2}) {
    const TarIndex index = read(members * 1024);
    CHECK_FALSE(index.ended);
    CHECK(index.members.size() == members);
  }
  CHECK_THROWS_WITH_AS(read(0), doctest::Contains("is empty"), IoError);

  const test::TemporaryFolder folder;
  const std::string path = (folder.path() / "x.tar").string();
  for (const bool zipped : {false, true}) {
    const std::string cut = test::tar_item({"cat/1.bmp", test::bmp({1, 2, 3})});
    test::write_text(path, zipped ? test::gzip(cut) : cut);
    const auto notes = open_tar_shards({path})->notes();
    REQUIRE(notes.size() == 1);
    CHECK(notes[0].starts_with(path + ": ends without its end mark"));
  }
}

TEST_CASE("a gzipped archive is inflated as a stream: what is no image is passed over, and bombs are refused") {
  const auto inflated = [](const std::string& archive) {
    return inflate_tar(test::bytes_of(test::gzip(archive)), "x.tar.gz",
                       [](std::string_view name, uint64_t size) { return name.ends_with(".bmp") && size < 1 << 20; });
  };
  const std::string large(2 << 20, '\0');
  const InflatedTar read =
      inflated(test::tar({{"1.bmp", "one"}, {"2.bmp", large}, {"3.txt", "no"}, {"4.bmp", "four"}}));
  REQUIRE(read.index.members.size() == 4);
  REQUIRE(read.contents.size() == 2);
  CHECK(read.index.members[0].offset == 0);
  CHECK(read.index.members[1].offset == InflatedTar::kNotKept);
  CHECK(read.index.members[1].size == large.size());
  CHECK(read.index.members[2].offset == InflatedTar::kNotKept);
  CHECK(read.contents[read.index.members[3].offset].size() == 4);
  CHECK_THROWS_WITH_AS(inflated(test::tar_item({"1.bmp", "one"}).substr(0, 600)), doctest::Contains("truncated"),
                       IoError);
  CHECK(inflated(std::string(1 << 20, '\0')).index.members.empty());  // nothing but end marks

  // 300 images of 900 kB that deflate makes of almost nothing
  std::vector<TarItem> bomb;
  bomb.reserve(300);
  for (int i = 0; i < 300; ++i) bomb.push_back({std::to_string(i) + ".bmp", std::string(900 << 10, '\0')});
  CHECK_THROWS_WITH_AS(inflated(test::tar(bomb)), doctest::Contains("inflate to more than 268435456 bytes"), IoError);
}

TEST_CASE("gzip is inflated whole, and refused if it is damaged, truncated or too large") {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += std::to_string(i);
  const auto inflated = [](const std::string& bytes, uint64_t most = 1 << 20) {
    const Bytes out = gunzip(test::bytes_of(bytes), "x.gz", most);
    return std::string(reinterpret_cast<const char*>(out.data()), out.size());
  };
  const std::string packed = test::gzip(text);
  CHECK(inflated(packed) == text);
  CHECK(inflated(packed + test::gzip("more")) == text + "more");
  CHECK(inflated(test::gzip("")).empty());
  for (size_t cut = 2; cut < packed.size(); cut += 997) CHECK_THROWS_AS(inflated(packed.substr(0, cut)), IoError);
  CHECK_THROWS_WITH_AS(inflated(packed.substr(0, packed.size() - 1)), doctest::Contains("truncated"), IoError);
  CHECK_THROWS_WITH_AS(inflated(packed + "tail"), doctest::Contains("4 bytes that are not gzip"), IoError);
  CHECK_THROWS_WITH_AS(inflated(packed, 1000), doctest::Contains("more than 1000 bytes"), IoError);
  std::string damaged = packed;
  damaged[packed.size() - 6] = char(damaged[packed.size() - 6] ^ 1);  // of the checksum
  CHECK_THROWS_AS(inflated(damaged), IoError);
}

TEST_CASE("shards are one set, plain or gzipped, with the first folder as the class") {
  const test::TemporaryFolder folder;
  const auto a = folder.path() / "a.tar", b = folder.path() / "b.tar.gz";
  test::write_text(a, test::tar({{"dog/1.bmp", test::numbered_bmp(1, 1)}, {"cat/2.bmp", test::numbered_bmp(0, 2)}}));
  test::write_text(b, test::gzip(test::tar({{"README.txt", "hello"}, {"dog/x/3.bmp", test::numbered_bmp(1, 3)}})));
  const auto set = open_tar_shards({a.string(), b.string()});
  REQUIRE(set->size() == 3);
  CHECK(set->classes() == std::vector<std::string>{"cat", "dog"});
  for (int64_t i = 0; i < 3; ++i) {
    const Sample sample = set->get(i);
    CHECK(sample.label == set->label(i));
    CHECK(test::first_pixel(sample.image) == std::array<int, 3>{int(sample.label), 0, int(i) + 1});
  }
  CHECK(set->name(2) == b.string() + "/dog/x/3.bmp");
  CHECK(set->encoded(0).size() == test::numbered_bmp(1, 1).size());

  const auto other_order = open_tar_shards({a.string()}, {.classes = {"dog", "cat"}});
  CHECK(other_order->label(0) == 0);
  CHECK(open_tar_shards({a.string()}, {.labelled = false})->label(0) == kNoLabel);
  CHECK_THROWS_WITH_AS(open_tar_shards({a.string()}, {.classes = {"cat"}}),
                       doctest::Contains("unknown class folders: dog; the known classes are cat ("), DataError);
}

TEST_CASE("hidden files and what systems leave behind are passed over in archives") {
  const test::TemporaryFolder folder;
  const std::string path = (folder.path() / "x.tar").string();
  test::write_text(path, test::tar({{"a/0.bmp", test::bmp({1, 2, 3})},
                                    {"a/._0.bmp", {'\0', '\5', '\x16', '\7'}},
                                    {"a/Thumbs.db", "x"},
                                    {"__MACOSX/a/._0.bmp", "x"},
                                    {"__MACOSX/b/0.bmp", "x"},
                                    {".ipynb_checkpoints/0.bmp", "x"},
                                    {".DS_Store", "x"}}));
  const auto set = open_tar_shards({path});
  CHECK(set->size() == 1);
  CHECK(set->classes() == std::vector<std::string>{"a"});
  CHECK(set->notes().empty());
}

TEST_CASE("a class of an archive that has files and no image ends its reading") {
  const test::TemporaryFolder folder;
  const std::string path = (folder.path() / "x.tar").string();
  test::write_text(path, test::tar({{"a/0.bmp", test::bmp({1, 2, 3})}, {"c/0.tiff", "x"}, {"c/1.tiff", "x"}}));
  CHECK_THROWS_WITH_AS(open_tar_shards({path}),
                       doctest::Contains("2 files are of kinds that are not read (.tiff), all 2 "
                                         "images of class 'c' among them"),
                       DataError);
  const auto set = open_tar_shards({path}, {.labelled = false});
  CHECK(set->size() == 1);
  CHECK(set->notes() == std::vector<std::string>{path + ": 2 files are of kinds that are not read (.tiff); " +
                                                 image_kinds("and") + " are read"});
}

TEST_CASE("opening and reading an archive writes nothing") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "deep" / "a.tar";
  test::write_file(path, test::tar({{"x.bmp", test::bmp({1, 2, 3})}, {"../../evil.bmp", "x"}}));
  CHECK_THROWS_AS(open_tar_shards({path.string()}), IoError);
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path()))
    files += entry.is_regular_file();
  CHECK(files == 1);
}

}  // namespace vitrail::data
