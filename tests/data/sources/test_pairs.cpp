#include "tests/data/samples.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/hdf5.h"
#include "vitrail/data/sources/image_list.h"
#include "vitrail/data/sources/open_pairs.h"
#include "vitrail/data/sources/pack.h"
#include "vitrail/data/sources/source_parts.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

namespace vitrail::data {
namespace {

namespace fs = std::filesystem;

/// An image whose blue value is its number.
std::string image(int number) { return test::numbered_bmp(0, number); }

/// "1=a cat|a black cat;2=a dog;": each image's number with its captions.
std::string text_of(const Pairs& pairs) {
  REQUIRE(pairs.images->size() == int64_t(pairs.captions.size()));
  std::string all;
  for (size_t i = 0; i < pairs.captions.size(); ++i) {
    const Sample sample = pairs.images->get(int64_t(i));
    CHECK(sample.label == kNoLabel);
    std::string texts;
    for (const std::string& text : pairs.captions[i]) texts += (texts.empty() ? "" : "|") + text;
    all += std::to_string(test::first_pixel(sample.image)[2]) + "=" + texts + ";";
  }
  return all;
}

/// "name,short|name;": the kinds of each image's captions.
std::string kinds_of(const Pairs& pairs) {
  std::string all;
  for (const auto& kinds : pairs.kind_of) {
    for (const int64_t kind : kinds) all += (kind < 0 ? std::string("-") : pairs.kinds.at(size_t(kind))) + ",";
    all += ";";
  }
  return all;
}

void check_equal(const Pairs& a, const Pairs& b) {
  CHECK(a.captions == b.captions);
  CHECK(a.kinds == b.kinds);
  CHECK(a.kind_of == b.kind_of);
  REQUIRE(a.images->size() == b.images->size());
  for (int64_t i = 0; i < a.images->size(); ++i) {
    CHECK(a.images->get(i).image == b.images->get(i).image);
    CHECK(a.images->encoded(i) == b.images->encoded(i));
  }
}

/// A folder with files in it.
struct Files {
  explicit Files(std::initializer_list<std::pair<const char*, std::string>> files) {
    for (const auto& [name, content] : files) test::write_file(folder.path() / name, content);
  }
  std::string path(const std::string& name = {}) const {
    return (name.empty() ? folder.path() : folder.path() / name).string();
  }

  test::TemporaryFolder folder;
};

const char kTable[] =
    "path\tcaption\tkind\n"
    "b/2.bmp\ta dog\tname\n"
    "a/1.bmp\ta cat\tname\n"
    "b/2.bmp\tdog\tshort\n"
    "a/1.bmp\t\tshort\n"
    "./a/1.bmp\tan animal\t\n"
    "b/3.bmp\tbird\tshort\n";

std::string archive() {
  return test::tar({{"a/1.bmp", image(1)}, {"b/3.bmp", image(3)}, {"b/2.bmp", image(2)}, {"c/4.bmp", image(4)}});
}

std::string part_names(const std::string& path) {
  std::string out;
  for (const SourcePart& part : find_pair_parts(path)) {
    out +=
        (out.empty() ? "" : "; ") + (part.split.empty() ? std::string("-") : part.split) + ": " + to_string(part.kind);
    for (const std::string& file : part.paths) out += " " + fs::path(file).filename().string();
  }
  return out;
}

}  // namespace

TEST_CASE("all rows of an image are its captions, images in the order of the table") {
  const Files files{{"captions.tsv", kTable}, {"images.tar", archive()}};
  const Pairs pairs = open_pairs(files.path(), "train");
  CHECK(text_of(pairs) == "2=a dog|dog;1=a cat|an animal;3=bird;");
  CHECK(pairs.kinds == std::vector<std::string>{"name", "short"});
  CHECK(kinds_of(pairs) == "name,short,;name,-,;short,;");
  CHECK(pairs.images->classes().empty());
  CHECK(pairs.images->name(0) == files.path("images.tar") + "/b/2.bmp");
  CHECK(pair_splits(files.path()) == std::vector<std::string>{"train"});
}

TEST_CASE("captions may be chosen by kind, and images without one are left out") {
  const Files files{{"captions.tsv", kTable}, {"images.tar", archive()}};
  const auto chosen = [&](const std::vector<std::string>& kinds) { return open_pairs(files.path(), "train", {kinds}); };
  CHECK(text_of(chosen({"name"})) == "2=a dog;1=a cat;");
  CHECK(text_of(chosen({"short"})) == "2=dog;3=bird;");
  CHECK(chosen({"short"}).kinds == std::vector<std::string>{"short"});
  CHECK(kinds_of(chosen({"short", "name"})) == "name,short,;name,;short,;");
  CHECK_THROWS_WITH_AS(chosen({"name", "tags"}),
                       doctest::Contains("no caption is of kind 'tags'; there is: name, short"), DataError);
  const Files plain{{"captions.tsv", "path\tcaption\n1.bmp\tx\n"}, {"1.bmp", image(1)}};
  CHECK(open_pairs(plain.path(), "train").kind_of.empty());
  CHECK_THROWS_WITH_AS(open_pairs(plain.path(), "train", {{"name"}}), doctest::Contains("its captions have no kinds"),
                       DataError);
}

TEST_CASE("kinds may begin in the middle of a table") {
  const Files files{
      {"captions.tsv", "path\tcaption\tkind\n1.bmp\tx\t\n1.bmp\ty\t\n2.bmp\tz\t\n1.bmp\tw\tname\n3.bmp\tv\t\n"},
      {"images.tar", test::tar({{"1.bmp", image(1)}, {"2.bmp", image(2)}, {"3.bmp", image(3)}})}};
  CHECK(kinds_of(open_pairs(files.path(), "train")) == "-,-,name,;-,;-,;");
}

TEST_CASE("comma-separated tables, open_clip's columns, and files beside the table") {
  const Files files{
      {"train.csv", "title,filepath\n\"A \"\"cat\"\", asleep\",1.bmp\n\"two\nlines\",deep/2.bmp\nagain,1.bmp\n"},
      {"1.bmp", image(1)},
      {"deep/2.bmp", image(2)}};
  CHECK(text_of(open_pairs(files.path(), "train")) == "1=A \"cat\", asleep|again;2=two\nlines;");
  CHECK(text_of(open_pairs(files.path("train.csv"), "train")) == "1=A \"cat\", asleep|again;2=two\nlines;");

  test::write_text(files.path("mine.tsv"), "path\tcaption\n" + files.path("deep/2.bmp") + "\tabsolute\n");
  CHECK(text_of(open_pairs(files.path("mine.tsv"), "train")) == "2=absolute;");
}

TEST_CASE("a table names files of its own folder only") {
  const Files outside{{"secret.bmp", image(9)}};
  Files files{{"mine/captions.tsv", ""}, {"mine/1.bmp", image(1)}, {"above.bmp", image(8)}};
  const auto open = [&](const std::string& name, bool follow_symlinks = false) {
    test::write_text(files.path("mine/captions.tsv"), "path\tcaption\n1.bmp\tx\n" + name + "\ty\n");
    return open_pairs(files.path("mine"), "train", {.kinds = {}, .follow_symlinks = follow_symlinks});
  };
  for (const std::string& name :
       {outside.path("secret.bmp"), std::string("../above.bmp"), std::string("../../above.bmp"),
        std::string("deep/../../above.bmp"), std::string("/etc/passwd"), std::string("../nowhere.bmp")}) {
    CAPTURE(name);
    for (const bool follow : {false, true})
      CHECK_THROWS_WITH_AS(open(name, follow),
                           doctest::Contains(("captions.tsv:3: there is no image '" + name + "' in " +
                                              files.path("mine") + ": the name leads out of it")
                                                 .c_str()),
                           DataError);
  }
  CHECK(text_of(open("../mine/1.bmp")) == "1=x;1=y;");
  fs::create_symlink(outside.path("secret.bmp"), files.path("mine/link.bmp"));
  fs::create_directory_symlink(outside.path(), files.path("mine/folder"));
  fs::create_symlink("1.bmp", files.path("mine/inside.bmp"));
  CHECK(open("inside.bmp").images->size() == 2);
  for (const char* name : {"link.bmp", "folder/secret.bmp"}) {
    CHECK_THROWS_WITH_AS(open(name), doctest::Contains("a symbolic link leads out of it; data.follow_symlinks=true"),
                         DataError);
    CHECK(text_of(open(name, true)) == "1=x;9=y;");
  }
}

TEST_CASE("quoted fields are the same between tabs as between commas") {
  const std::vector<std::string> captions{
      "plain",      "he said \"hi\", twice", "two\nlines", "null", "NA", "None", "caf\u00e9",
      "\"quoted\"", "tab\there, and"};
  const auto table = [&](char separator) {  // as Python's csv.writer does
    std::string text = std::string("path") + separator + "caption\r\n";
    for (const std::string& caption : captions) {
      std::string field = caption;
      if (caption.find_first_of(std::string("\"\n") + separator) != std::string::npos) {
        field = "\"";
        for (const char c : caption) field += c == '"' ? "\"\"" : std::string(1, c);
        field += '"';
      }
      text += std::string("1.bmp") + separator + field + "\r\n";
    }
    return text;
  };
  const Files files{{"a.tsv", table('\t')}, {"a.csv", table(',')}, {"1.bmp", image(1)}};
  for (const char* name : {"a.tsv", "a.csv"}) {
    const Pairs pairs = open_pairs(files.path(name), "train");
    REQUIRE(pairs.captions.size() == 1);
    CHECK(pairs.captions[0] == captions);
  }
}

TEST_CASE("a table in another encoding is refused by its line, and rows without a caption are counted") {
  const Files files{{"latin1.tsv", "path\tcaption\n1.bmp\ta\n1.bmp\tcaf\xE9\n"},
                    {"utf16.csv", std::string("\xFF\xFEp\0a\0", 6)},
                    {"gaps.csv", "path,caption\n1.bmp,caf\u00e9\n1.bmp,\"\"\n1.bmp, \n"},
                    {"1.bmp", image(1)}};
  CHECK_THROWS_WITH_AS(open_pairs(files.path("latin1.tsv"), "train"), doctest::Contains("latin1.tsv:3: is not UTF-8"),
                       DataError);
  CHECK_THROWS_WITH_AS(open_pairs(files.path("utf16.csv"), "train"), doctest::Contains("utf16.csv:1: is not UTF-8"),
                       DataError);
  const Pairs gaps = open_pairs(files.path("gaps.csv"), "train");
  CHECK(gaps.captions == std::vector<std::vector<std::string>>{{"caf\u00e9"}});
  REQUIRE(gaps.images->notes().size() == 1);
  CHECK(gaps.images->notes()[0].ends_with("gaps.csv: rows without a caption, which are passed over: 2"));
}

TEST_CASE("between tabs, quotes that do not enclose a field are text") {
  const Files files{{"a.tsv",
                     "path\tcaption\tnote\n1.bmp\tsay \"hi\"\tx\n1.bmp\t\"hi\" she said\tx\n1.bmp\t5\" tall\tx\n"
                     "1.bmp\t\"open\tx\n1.bmp\t\"\"\tx\n1.bmp\t\"\"\"a\"\"\"\tx\n"},
                    {"1.bmp", image(1)}};
  CHECK(open_pairs(files.path("a.tsv"), "train").captions[0] ==
        std::vector<std::string>{"say \"hi\"", "\"hi\" she said", "5\" tall", "\"open", "\"a\""});
}

TEST_CASE("Flickr8k's layout: captions.txt and a folder Images") {
  const Files files{{"captions.txt", "image,caption\n1.bmp,A dog .\n1.bmp,\"A dog, running .\"\n"},
                    {"Images/1.bmp", image(1)}};
  CHECK(text_of(open_pairs(files.path(), "train")) == "1=A dog .|A dog, running .;");
}

TEST_CASE("an image that is not there is named with its row and what is nearest") {
  Files files{{"captions.tsv", "path\tcaption\nb/2.bmp\tx\n\na/1.jpg\ty\n"}, {"images.tar", archive()}};
  CHECK_THROWS_WITH_AS(open_pairs(files.path(), "train"),
                       doctest::Contains(("captions.tsv:4: there is no image 'a/1.jpg' in " + files.path("images.tar") +
                                          ", where the nearest name is 'a/1.bmp'")
                                             .c_str()),
                       DataError);
  fs::remove(files.path("images.tar"));
  test::write_file(files.path("b/2.bmp"), image(2));
  test::write_file(files.path("a/1.jpeg"), image(2));
  test::write_file(files.path("a/2.jpg"), image(2));
  CHECK_THROWS_WITH_AS(open_pairs(files.path(), "train"),
                       doctest::Contains((files.path("a") + ", where the nearest name is '1.jpeg'").c_str()),
                       DataError);
  fs::remove_all(files.path("a"));
  CHECK_THROWS_WITH_AS(open_pairs(files.path(), "train"),
                       doctest::Contains((files.path() + ", where the nearest name is 'b'").c_str()), DataError);
}

TEST_CASE("the nearest name shares most letters at its ends") {
  const std::vector<std::string_view> names{"b.jpg", "noto/1f600.png", "noto/1f601.png", "images/a.jpg", "a.jpeg"};
  CHECK(most_like("noto/1f600x.png", names) == "noto/1f600.png");
  CHECK(most_like("noto/1f601.jpg", names) == "noto/1f601.png");
  CHECK(most_like("a.jpg", names) == "a.jpeg");
  CHECK(most_like("photos/a.jpg", names) == "images/a.jpg");
  CHECK(most_like("a", {}).empty());
}

TEST_CASE("a name in two archives is refused only if the table has it") {
  Files files{{"captions.tsv", "path\tcaption\na/1.bmp\tx\n"},
              {"0.tar", archive()},
              {"1.tar", test::tar({{"b/2.bmp", image(9)}})}};
  CHECK(text_of(open_pairs(files.path(), "train")) == "1=x;");
  test::write_text(files.path("captions.tsv"), "path\tcaption\nb/2.bmp\tx\n");
  CHECK_THROWS_WITH_AS(
      open_pairs(files.path(), "train"),
      doctest::Contains((files.path("0.tar") + "/b/2.bmp or " + files.path("1.tar") + "/b/2.bmp").c_str()), DataError);
}

TEST_CASE("a table without captions, or without rows, says so") {
  Files files{{"captions.tsv", "path\tcaption\n"}, {"images.tar", archive()}};
  CHECK_THROWS_WITH_AS(open_pairs(files.path(), "train"), doctest::Contains("captions.tsv has no captions"), DataError);
  test::write_text(files.path("captions.tsv"), "image\twords\n1.bmp\tx\n");
  CHECK_THROWS_WITH_AS(open_pairs(files.path(), "train"), doctest::Contains("it has image, words"), DataError);
}

TEST_CASE("the parts of pairs are found by the names of tables and archives") {
  const Files files{};
  const auto make = [&](const std::string& root, std::initializer_list<const char*> names) {
    for (const char* name : names) test::write_file(files.folder.path() / root / name, "x");
    return files.path(root);
  };
  CHECK(part_names(
            make("emoji", {"captions.train.tsv", "captions.val.tsv", "concepts.tsv", "train.tar", "val.tar.gz"})) ==
        "train: table of captions captions.train.tsv train.tar; val: table of captions captions.val.tsv val.tar.gz");
  CHECK(part_names(make("shards", {"train.csv", "train-0.tar", "train-1.tgz", "other.tar"})) ==
        "train: table of captions train.csv train-0.tar train-1.tgz");
  CHECK(part_names(make("one", {"captions.tsv", "CREDITS.tsv", "images.tar"})) ==
        "-: table of captions captions.tsv images.tar");
  CHECK(part_names(make("shared", {"captions.train.tsv", "captions.test.tsv", "images.tar"})) ==
        "test: table of captions captions.test.tsv images.tar; train: table of captions captions.train.tsv images.tar");
  CHECK(part_names(make("dotted", {"train.tsv", "images.train.tar", "images.test.tar"})) ==
        "train: table of captions train.tsv images.train.tar");
  CHECK(part_names(make("dotted", {"mine.test.tsv"}) + "/mine.test.tsv") ==
        "test: table of captions mine.test.tsv images.test.tar");
  CHECK(part_names(make("loose", {"validation.tsv", "captions.tsv", "a.jpg"})) ==
        "val: table of captions validation.tsv");
  CHECK(part_names(make("wds", {"train-0.tar", "train-1.tar", "val.tar"})) ==
        "train: tar archives train-0.tar train-1.tar; val: tar archives val.tar");
  CHECK(part_names(make("folders", {"train/0.tar", "train/1.tar", "val/a/1.jpg"})) ==
        "train: tar archives 0.tar 1.tar");
  CHECK(part_names(make("h5", {"pairs.h5", "x.tar"})) == "-: HDF5 pairs.h5");
  CHECK(part_names(make("beside", {"train/1.jpg", "train/1.txt", "val/a/1.jpg"})) ==
        "train: images train; val: images val");
  CHECK(part_names(make("images", {"cat/1.jpg", "notes.md"})) == "-: images images");

  CHECK_THROWS_WITH_AS(find_pair_parts(make("twice", {"train.tsv", "captions.train.csv"})),
                       doctest::Contains("several tables of one part, name one of them"), DataError);
  CHECK_THROWS_WITH_AS(
      find_pair_parts(make("notes", {"notes.md"})),
      doctest::Contains("holds no captions in a known format: notes.md; images with captions are read from"),
      DataError);
  CHECK_THROWS_WITH_AS(find_pair_parts(files.path("nowhere")), doctest::Contains("nowhere does not exist"), DataError);
  CHECK_THROWS_WITH_AS(find_pair_parts(files.path("notes/notes.md")), doctest::Contains("of an unknown format"),
                       DataError);
}

TEST_CASE("val and test stand for each other, undivided data is train") {
  const Files files{{"captions.test.tsv", "path\tcaption\na/1.bmp\tx\n"}, {"images.tar", archive()}};
  CHECK(text_of(open_pairs(files.path(), "val")) == "1=x;");
  CHECK(pair_splits(files.path()) == std::vector<std::string>{"test"});
  CHECK_THROWS_WITH_AS(open_pairs(files.path(), "train"),
                       doctest::Contains("no part 'train'; there is: test (table of captions)"), DataError);
}

TEST_CASE("archives hold each image's text beside it") {
  const Files files{
      {"train-0.tar", test::tar({{"x/1.bmp", image(1)},
                                 {"x/1.txt", "\n a cat \r\n"},
                                 {"x/1.json", "{}"},
                                 {"2.txt", "a dog"},
                                 {"2.bmp", image(2)},
                                 {"3.bmp", image(3)},
                                 {"4.bmp", image(4)},
                                 {"4.txt", " \n"}})},
      {"train-1.tar.gz", test::gzip(test::tar({{"2.bmp", image(5)}, {"2.txt", "another dog"}, {"3.txt", "?"}}))},
      {"val.tar", test::tar({{"1.bmp", image(6)}})}};
  const Pairs pairs = open_pairs(files.path(), "train");
  CHECK(text_of(pairs) == "1=a cat;2=a dog;5=another dog;");
  CHECK(pairs.left_out == 2);
  CHECK(pairs.images->name(2) == files.path("train-1.tar.gz") + "/2.bmp");
  CHECK_THROWS_WITH_AS(open_pairs(files.path(), "val"), doctest::Contains("none of the 1 images has a text"),
                       DataError);
  CHECK_THROWS_WITH_AS(open_pairs(files.path(), "train", {{"name"}}), doctest::Contains("in .txt files have no kinds"),
                       DataError);
  const Files none{{"a.tar", test::tar({{"1.txt", "x"}})}};
  CHECK_THROWS_WITH_AS(open_pairs(none.path("a.tar"), "train"), doctest::Contains("holds no JPEG, PNG"), DataError);
}

TEST_CASE("WebDataset: an image and its text share the name up to the last dot, or else up to the first") {
  const auto open = [](const std::vector<test::TarItem>& items) {
    const Files files{{"a.tar", test::tar(items)}};
    const Pairs pairs = open_pairs(files.path("a.tar"), "train");
    return text_of(pairs) + std::to_string(pairs.left_out);
  };
  CHECK(open({{"s0.input.bmp", image(1)}, {"s0.outputs.txt", "a"}}) == "1=a;0");
  CHECK(open({{"s1.v2.bmp", image(1)}, {"s1.v2.txt", "a"}, {"s1.v3.bmp", image(2)}, {"s1.v3.txt", "b"}}) ==
        "1=a;2=b;0");
  CHECK(open({{"x.BMP", image(1)}, {"x.TXT", "a"}}) == "1=a;0");
  CHECK(open({{"d.1/x.bmp", image(1)}, {"d.1/x.txt", "a"}, {"d.2/x.bmp", image(2)}, {"d.2/x.txt", "b"}}) ==
        "1=a;2=b;0");
  CHECK(open({{"0.bmp", image(1)}, {"0.seg.bmp", image(2)}, {"0.txt", "a"}}) == "1=a;1");  // a mask has no text
  CHECK(open({{"0.bmp", image(1)}, {"0.txt", "a"}, {"._0.txt", "\5"}, {"._0.bmp", "\5"}}) == "1=a;0");
  CHECK_THROWS_WITH_AS(open({{"s0.bmp", image(1)}, {"s1.txt", "a"}}),
                       doctest::Contains("same key, which is the name up to its first dot"), DataError);
}

TEST_CASE("captions of broken images are left out with them") {
  const Files files{{"captions.tsv", "path\tcaption\tkind\n1.bmp\ta\tname\n2.bmp\tb\tname\n3.bmp\tc\tshort\n"},
                    {"1.bmp", image(1)},
                    {"2.bmp", "broken"},
                    {"3.bmp", image(3)}};
  const Pairs pairs = open_pairs(files.path(), "train");
  pack(files.path("x.h5"), {{"train", pairs.images.get(), &pairs}}, {.skip_broken = true});
  const Pairs packed = open_pairs(files.path("x.h5"), "train");
  CHECK(text_of(packed) == "1=a;3=c;");
  CHECK(kinds_of(packed) == "name,;short,;");
  CHECK(pair_splits(files.path("x.h5")) == std::vector<std::string>{"train"});
}

TEST_CASE("packed pairs come back as they were") {
  const Files files{{"captions.train.tsv", kTable},
                    {"captions.val.tsv", "path\tcaption\nc/4.bmp\tGrüße\n"},
                    {"images.tar", archive()}};
  const Pairs train = open_pairs(files.path(), "train"), val = open_pairs(files.path(), "val");
  const std::string packed = files.path("pairs.h5");
  CHECK(pack(packed, {{"train", train.images.get(), &train}, {"val", val.images.get(), &val}}).size() == 4);
  check_equal(open_pairs(packed, "train"), train);
  check_equal(open_pairs(packed, "test"), val);
  CHECK(open_pairs(packed, "train").left_out == 0);

  const PairOptions shorts{{"short"}};
  check_equal(open_pairs(packed, "train", shorts), open_pairs(files.path(), "train", shorts));
  CHECK(open_pairs(packed, "train", shorts).left_out == 1);
  CHECK_THROWS_WITH_AS(open_pairs(packed, "train", {{"tags"}}), doctest::Contains("there is: name, short"), DataError);
  CHECK_THROWS_WITH_AS(open_pairs(packed, "val", shorts), doctest::Contains("its captions have no kinds"), DataError);

  pack(packed, {{"train", train.images.get()}});
  CHECK_THROWS_WITH_AS(open_pairs(packed, "train"),
                       doctest::Contains("has no train/caption_first; pack it with --captions"), DataError);
  CHECK_THROWS_WITH_AS(pack(packed, {{"train", train.images.get(), &val}}),
                       doctest::Contains("3 images and captions of 1"), DataError);
}

TEST_CASE("texts longer than a block of reading come back too") {
  const Files files{{"captions.tsv", "path\tcaption\n1.bmp\tx\n1.bmp\t" + std::string(5 << 20, 'a') + "\n1.bmp\t" +
                                         std::string(3 << 20, 'b') + "\n1.bmp\t" + std::string(3 << 20, 'c') + "\n"},
                    {"1.bmp", image(1)}};
  const Pairs pairs = open_pairs(files.path(), "train");
  pack(files.path("x.h5"), {{"train", pairs.images.get(), &pairs}});
  CHECK(open_pairs(files.path("x.h5"), "train").captions == pairs.captions);
}

TEST_CASE("packed captions that contradict themselves are refused") {
  const test::TemporaryFolder folder;
  const std::string path = (folder.path() / "x.h5").string();
  const auto numbers = [](const std::vector<int64_t>& values) {
    return tensor<int64_t>(values, {int64_t(values.size())});
  };
  struct Layout {
    std::vector<int64_t> first{0, 1, 3}, offset{0, 2, 3, 6}, kind{0, -1, 1};
    int64_t bytes = 6;
  };
  const auto refused = [&](const Layout& layout, const char* message) {
    hdf5::save(path, [&](hdf5::Writer& writer) {
      writer.write("train/image", zeros({2, 1, 1, 3}, DType::u8));
      writer.write("train/caption", zeros({layout.bytes}, DType::u8));
      writer.write("train/caption_first", numbers(layout.first));
      writer.write("train/caption_offset", numbers(layout.offset));
      writer.write("train/caption_kind", numbers(layout.kind));
      writer.attribute("train", "caption_kinds", std::string("name\nshort"));
    });
    CHECK_THROWS_WITH_AS(open_pairs(path, "train"), doctest::Contains(message), DataError);
  };
  refused({.first = {0, 3}}, "2 images, captions of 1");
  refused({.first = {0, 0, 3}}, "caption_first must begin with 0 and rise");
  refused({.first = {1, 2, 3}}, "caption_first must begin with 0 and rise");
  refused({.first = {0, 1, 4}}, "caption_first ends with 4, there are 3 captions");
  refused({.first = {0, 3, 1}}, "must begin with 0 and rise");
  refused({.offset = {0, 2, 2, 6}}, "caption_offset must begin with 0 and rise");
  refused({.offset = {0, 2, -3, 6}}, "caption_offset must begin with 0 and rise");
  refused({.offset = {}}, "caption_offset is i64 [0]");
  refused({.bytes = 5}, "train/caption must be u8 [6]");
  refused({.kind = {0, 1}}, "caption_kind is i64 [2]; it must be i64 [3]");
  refused({.kind = {0, 1, 2}}, "caption_kind has 2; there are 2 kinds");
  refused({.kind = {0, 1, -2}}, "caption_kind has -2");

  hdf5::Writer foreign(path);
  foreign.write("train/image", zeros({2, 1, 1, 3}, DType::u8));
  foreign.close();
  CHECK_THROWS_WITH_AS(open_pairs(path, "train"), doctest::Contains("was not made by vitrail pack"), DataError);
}

TEST_CASE("development data of pairs opens as its notes say") {
  const char* data = std::getenv("VITRAIL_DATA");
  if (data == nullptr) {
    MESSAGE("not run: set VITRAIL_DATA to the folder that holds emoji, coco_captions, clipart and stamps");
    return;
  }
  const auto check_counts = [&](const std::string& name, const std::string& split, int64_t images, int64_t captions) {
    CAPTURE(name);
    const Pairs pairs = open_pairs(data + ("/" + name), split);
    int64_t count = 0;
    for (const auto& texts : pairs.captions) count += int64_t(texts.size());
    CHECK(pairs.images->size() == images);
    CHECK(count == captions);
    CHECK(pairs.images->get(images / 2).image.width() > 0);
    std::vector<std::string> kinds = pairs.kinds;
    std::sort(kinds.begin(), kinds.end());
    return kinds;
  };
  const std::vector<std::string> kinds{"category", "keywords", "name", "short", "tags"};
  CHECK(check_counts("emoji", "train", 4622, 17121) == kinds);
  CHECK(check_counts("emoji", "val", 203, 765) == kinds);
  CHECK(check_counts("coco_captions", "train", 83, 415).empty());
  check_counts("clipart", "train", 1734, 5202);
  check_counts("clipart", "val", 176, 528);
  check_counts("stamps", "train", 512, 512);
  check_counts("stamps", "test", 69, 69);

  const Pairs names = open_pairs(data + std::string("/emoji"), "val", {{"name"}});
  CHECK(names.captions.size() == 203);
  CHECK(names.captions[0] == std::vector<std::string>{"saluting face"});
}

}  // namespace vitrail::data
