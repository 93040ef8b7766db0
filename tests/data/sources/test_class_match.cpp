#include "tests/data/samples.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/data/sources/array_dataset.h"
#include "vitrail/data/sources/class_match.h"

#include <doctest/doctest.h>

#include <numeric>
#include <string>
#include <vector>

namespace vitrail::data {
namespace {

using Names = std::vector<std::string>;
using Numbers = std::vector<int64_t>;

ClassList list(const std::string& owner, const Names& names, bool mapped = false) {
  return {.owner = owner, .names = names, .count = int64_t(names.size()), .mapped = mapped};
}
ClassList unnamed(int64_t count) { return {.owner = "model", .names = {}, .count = count}; }

ClassMatch match(const Names& data, const ClassList& model, bool mapped = false) {
  return match_classes("eval", list("data", data, mapped), model);
}
ClassMatch match(const Names& data, const Names& model) { return match(data, list("model", model)); }

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// An image of each class.
std::unique_ptr<Dataset> one_of_each(const Names& classes) {
  PixelArray array;
  array.images = zeros({int64_t(classes.size()), 1, 1, 3}, DType::u8);
  array.labels.resize(classes.size());
  std::iota(array.labels.begin(), array.labels.end(), int64_t{0});
  array.classes = classes;
  return make_array_dataset(std::move(array), {});
}

Numbers labels(const Dataset& dataset) {
  Numbers out;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    out.push_back(dataset.label(i));
    CHECK(dataset.get(i).label == dataset.label(i));
  }
  return out;
}

}  // namespace

TEST_CASE("classes: names decide, whatever their order, and data may have some of them") {
  CHECK(match({"a", "b"}, Names{"a", "b"}).same);
  const ClassMatch turned = match({"b", "a"}, Names{"a", "b"});
  CHECK(turned.to == Numbers{1, 0});
  CHECK_FALSE(turned.same);
  CHECK(turned.note.empty());
  CHECK(match({"c", "b"}, Names{"a", "b", "c"}).to == Numbers{2, 1});
  // Folders named by number are sorted by bytes: 0, 1, 10, 11, 2.
  CHECK(match({"0", "1", "10", "2"}, Names{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}).to ==
        Numbers{0, 1, 10, 2});
}

TEST_CASE("classes: where some names agree and others do not, both sides are named") {
  CHECK_THROWS_WITH_AS(match({"b", "c", "d"}, Names{"a", "b", "c"}),
                       doctest::Contains("[eval] only some classes of data are classes of model: unknown there: d; "
                                         "missing here: a; rename the classes, or give a mapping with data.classes"),
                       DataError);
  CHECK_THROWS_WITH_AS(match({"a", "b", "x"}, Names{"a", "b"}), doctest::Contains("missing here: none"), DataError);
  Names many;
  for (int i = 0; i < 50; ++i) many.push_back("class " + std::to_string(i));
  CHECK_THROWS_WITH_AS(match({"class 0", "x"}, many), doctest::Contains("class 6, ... (49 in all)"), DataError);
}

TEST_CASE("classes: where no name agrees the order counts, and a note says so") {
  const ClassMatch words = match({"n01", "n02"}, Names{"tench", "goldfish"});
  CHECK(words.to == Numbers{0, 1});
  CHECK(words.same);
  CHECK(words.note ==
        "no class of data has a name of model's, so their order counts: 'n01' is 'tench', 'n02' is 'goldfish'; "
        "data.classes=FILE gives another mapping");
  const ClassMatch old_run = match({"a", "b"}, unnamed(2));
  CHECK(old_run.same);
  CHECK(contains(old_run.note, "model does not name its classes, so their order counts: 'a' is output 0"));
  CHECK_THROWS_WITH_AS(match({"n01", "n02", "n03"}, Names{"tench", "goldfish"}),
                       doctest::Contains("data has 3 classes (n01, n02, n03), model has 2 (tench, goldfish); no name "
                                         "agrees"),
                       DataError);
  CHECK_THROWS_WITH_AS(match({"a", "b", "c"}, unnamed(2)), doctest::Contains("model has 2 without names"), DataError);
}

TEST_CASE("classes: numbers are the numbers of outputs where names do not decide") {
  // ImageNetV2 has folders 0 to 999, and models name their outputs in words.
  const ClassMatch numbers = match({"0", "10", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
                                   Names{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"});
  CHECK(numbers.to == Numbers{0, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(contains(numbers.note,
                 "so the order of their numbers counts: '0' is 'a', '10' is 'k', '1' is 'b', ...; data.classes=FILE"));
  // Flowers-102 counts from 1; others write a word before the number.
  CHECK(match({"1", "10", "2"}, Names{"a", "b", "c"}).to == Numbers{0, 2, 1});
  CHECK(match({"class_0", "class_10", "class_9"}, Names{"a", "b", "c"}).to == Numbers{0, 2, 1});
  CHECK(match({"1", "10", "b2"}, Names{"a", "b", "c"}).to == Numbers{0, 1, 2});
  CHECK(match({"07", "7", "8"}, Names{"a", "b", "c"}).to == Numbers{0, 1, 2});
  // A published model without names, and a run of version 0.1.0, which was trained on folders in the order of bytes
  CHECK(match({"0", "10", "9"}, unnamed(3)).to == Numbers{0, 2, 1});
  ClassList run = unnamed(3);
  run.by_bytes = true;
  CHECK(match({"0", "10", "9"}, run).to == Numbers{0, 1, 2});
  // Labels without the largest one. Fewer folders than outputs say nothing.
  CHECK(match({"0", "1"}, unnamed(3)).to == Numbers{0, 1});
  CHECK_FALSE(match({"0", "1"}, unnamed(3)).same);
  CHECK_THROWS_AS(match({"1", "2"}, unnamed(3)), DataError);
  CHECK_THROWS_AS(match({"0", "1"}, Names{"a", "b", "c"}), DataError);
}

TEST_CASE("classes: a name of two outputs is refused, unless a class file gives their numbers") {
  const Names model{"crane", "heron", "crane"};
  CHECK(match(model, model).same);
  CHECK_THROWS_WITH_AS(match({"crane", "heron"}, model),
                       doctest::Contains("'crane' is the name of the outputs 0 and 2"), DataError);
  CHECK(match({"2", "heron"}, list("model", model), /*mapped=*/true).to == Numbers{2, 1});
  CHECK_THROWS_AS(match({"3", "heron"}, list("model", model), true), DataError);
  CHECK(match({"2", "0"}, unnamed(3), true).to == Numbers{2, 0});
  CHECK(match({"x", "y"}, unnamed(2), true).note.empty());  // the file gives the order
}

TEST_CASE("class files give the order, other names or numbers") {
  const test::TemporaryFolder folder;
  const std::string file = (folder.path() / "classes.txt").string();
  const auto with = [&](const std::string& text) {
    test::write_text(file, text);
    return with_class_file(one_of_each({"n01", "n02", "n03"}), file);
  };
  auto ordered = with("n03\nn01\nn02\n");
  CHECK(ordered->classes() == Names{"n03", "n01", "n02"});
  CHECK(labels(*ordered) == Numbers{1, 2, 0});
  auto renamed = with("n01\ttabby cat\nn02\tdog\nn03\ttabby cat\n");
  CHECK(renamed->classes() == Names{"tabby cat", "dog"});
  CHECK(labels(*renamed) == Numbers{0, 1, 0});
  auto numbered = with("n01\t4\nn02\t0\nn03\t1\nn99\t2\n");
  CHECK(numbered->classes() == Names{"0", "1", "2", "3", "4"});
  CHECK(labels(*numbered) == Numbers{4, 0, 1});
  CHECK_THROWS_WITH_AS(with("n01\nn02\n"), doctest::Contains("classes.txt has no line for the classes: n03"),
                       DataError);
  CHECK_THROWS_WITH_AS(with("n01\nn01\n"), doctest::Contains("'n01' is named twice"), DataError);
  CHECK_THROWS_WITH_AS(with("n01\t9999999999\nn02\t1\nn03\t2\n"), doctest::Contains("9999999999 is too large"),
                       DataError);
  CHECK_THROWS_AS(with_class_file(one_of_each({"a"}), (folder.path() / "none.txt").string()), IoError);
}

}  // namespace vitrail::data
