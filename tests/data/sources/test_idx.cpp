#include "tests/data/samples.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/data/sources/idx.h"

#include <doctest/doctest.h>

namespace vitrail::data {
namespace {

std::string big_endian(uint32_t v) { return {char(v >> 24), char(v >> 16), char(v >> 8), char(v)}; }

std::string idx(const std::vector<uint32_t>& sizes, const std::string& elements, char type = 8) {
  std::string out{'\0', '\0', type, char(sizes.size())};
  for (uint32_t size : sizes) out += big_endian(size);
  return out + elements;
}

}  // namespace

TEST_CASE("IDX images and labels make a set, gzipped or not") {
  const test::TemporaryFolder folder;
  const auto images = folder.path() / "images", labels = folder.path() / "labels";
  const std::string image_file = idx({2, 1, 3}, {1, 2, 3, 4, 5, 6}), label_file = idx({2}, {4, 0});
  for (const bool zipped : {false, true}) {
    test::write_text(images, zipped ? test::gzip(image_file) : image_file);
    test::write_text(labels, zipped ? test::gzip(label_file) : label_file);
    const auto set = open_idx(images.string(), labels.string());
    REQUIRE(set->size() == 2);
    CHECK(set->classes() == std::vector<std::string>{"0", "1", "2", "3", "4"});
    const Sample second = set->get(1);
    CHECK(second.label == 0);
    CHECK(second.image.height() == 1);
    CHECK(second.image.width() == 3);
    CHECK(std::vector<int>(second.image.data(), second.image.data() + 9) ==
          std::vector<int>{4, 4, 4, 5, 5, 5, 6, 6, 6});
    CHECK(set->name(1) == images.string() + "[1]");
    CHECK(set->encoded(0).empty());
  }
  CHECK(open_idx(images.string(), "")->label(0) == kNoLabel);
  CHECK_THROWS_WITH_AS(open_idx(images.string(), labels.string(), {.classes = {"a", "b"}}),
                       doctest::Contains("labels run from 0 to 4; they must be 0 to 1"), DataError);
  test::write_text(labels, idx({3}, {4, 0, 1}));
  CHECK_THROWS_WITH_AS(open_idx(images.string(), labels.string()), doctest::Contains("3 labels for 2 images"),
                       DataError);
}

TEST_CASE("a damaged IDX file is refused with what is wrong") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "x";
  const struct {
    std::string file;
    const char* message;
  } cases[] = {
      {"", "not an IDX file"},
      {"GIF89a..", "two zero bytes"},
      {idx({2}, "ab", 0x0D), "elements are of type 13"},
      {idx({}, ""), "rank 0"},
      {idx({1, 1, 1, 1, 1}, "a"), "rank 5"},
      {idx({2, 2}, "abc"), "more than the 3 bytes"},
      {idx({2, 2}, "abcde"), "announces 4 bytes, 5 follow"},
      {idx({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, "a"), "more than the 1 bytes"},
      {idx({0, 4}, ""), "size 0 is 0"},
      {idx({2, 2}, "").substr(0, 9), "truncated"},
  };
  for (const auto& c : cases) {
    test::write_text(path, c.file);
    CHECK_THROWS_WITH_AS(read_idx(path.string()), doctest::Contains(c.message), IoError);
  }
}

TEST_CASE("a gzipped IDX file is inflated to the size that its header announces, which its own size bounds") {
  const test::TemporaryFolder folder;
  const std::string path = (folder.path() / "x").string();
  test::write_text(path, test::gzip(idx({2, 2}, "abcd")));
  CHECK(read_idx(path).span<uint8_t>()[3] == 'd');
  const auto refused = [&](const std::string& content, const char* message) {
    test::write_text(path, test::gzip(content));
    CHECK_THROWS_WITH_AS(read_idx(path), doctest::Contains(message), IoError);
  };
  refused(idx({1 << 16, 1 << 15}, "abcd"), "the sizes in the header need more than");
  refused(idx({2, 3}, "abcd"), "announces 6 bytes, 4 follow");
  refused(idx({2, 2}, "abcde"), "announces 4 bytes, 5 follow");
  refused(idx({2, 2}, "abcd" + std::string(1 << 20, '\0')), "announces 4 bytes, 260 or more follow");
  std::string cut = test::gzip(idx({2, 2}, "abcd"));
  cut.resize(cut.size() - 4);
  test::write_text(path, cut);
  CHECK_THROWS_WITH_AS(read_idx(path), doctest::Contains("truncated"), IoError);
}

}  // namespace vitrail::data
