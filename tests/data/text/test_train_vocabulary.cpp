#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/data/sources/caption_table.h"
#include "vitrail/data/text/train_vocabulary.h"

#include <doctest/doctest.h>

using namespace vitrail;
using data::VocabularyTrainer;
using Symbols = data::Vocabulary::Symbols;

TEST_CASE("the most frequent pair is joined first, of equals the earlier") {
  VocabularyTrainer trainer;
  // Sennrich et al.'s example: "es" and "est" are learned before "lo" and "low".
  for (int i = 0; i < 5; ++i) trainer.add("low");
  for (int i = 0; i < 2; ++i) trainer.add("LOWER");
  for (int i = 0; i < 6; ++i) trainer.add("newest");
  for (int i = 0; i < 3; ++i) trainer.add("widest");
  const auto vocabulary = trainer.train(514 + 4);
  CHECK(vocabulary.merges() == std::vector<Symbols>{{"e", "s"}, {"es", "t</w>"}, {"l", "o"}, {"e", "w"}});
  CHECK(vocabulary.size() == 518);
  CHECK(vocabulary.symbol(513) == "est</w>");
}

TEST_CASE("a vocabulary depends on neither the order of texts nor how often it is trained") {
  const std::vector<std::string> texts{"a photo of a cat", "two cats", "a dog's photo", "dogs, dogs!", "aaaaaaa"};
  VocabularyTrainer forward, backward;
  for (size_t i = 0; i < texts.size(); ++i) {
    forward.add(texts[i]);
    backward.add(texts[texts.size() - 1 - i]);
  }
  const auto merges = forward.train(540).merges();
  CHECK(merges == backward.train(540).merges());
  CHECK(merges == forward.train(540).merges());
}

TEST_CASE("pairs that occur once are not learned, and a vocabulary needs words and room") {
  VocabularyTrainer trainer;
  CHECK_THROWS_WITH_AS(trainer.train(1000), doctest::Contains("the texts hold no words"), DataError);
  trainer.add("abcd abx");
  CHECK(trainer.train(1000).merges() == std::vector<Symbols>{{"a", "b"}});
  CHECK_THROWS_WITH_AS(trainer.train(514), doctest::Contains("514 symbols has no room"), ConfigError);
}

TEST_CASE("tables of captions are read by the names of their columns") {
  const test::TemporaryFolder folder;
  const std::string path = (folder.path() / "captions").string();
  const auto rows = [&](const std::string& text) {
    test::write_text(path, text);
    std::string all;
    data::for_each_caption(path, [&](const data::Caption& c) {
      all += std::to_string(c.line) + ":" + std::string(c.path) + "=" + std::string(c.text) +
             (c.kind.empty() ? "" : " " + std::string(c.kind)) + ";";
    });
    return all;
  };
  CHECK(rows("path\tcaption\tkind\na.png\tone\tx\r\n\nb.png\t \tx\nc.png\t\"two\", 2\t") ==
        "2:a.png=one x;5:c.png=\"two\", 2;");
  CHECK(rows("\xEF\xBB\xBFimage,caption\n1.jpg,\"A \"\"cat\"\", "
             "asleep\"\n2.jpg,\"two\nlines\"\n3.jpg,\"\"\n4.jpg,x\r\n") ==
        "2:1.jpg=A \"cat\", asleep;3:2.jpg=two\nlines;6:4.jpg=x;");
  CHECK(rows("title\tfilepath\nx\ta\n") == "2:a=x;");
  CHECK_THROWS_WITH_AS(rows("name,words\na,b\n"), doctest::Contains("it has name, words"), DataError);
  CHECK_THROWS_WITH_AS(rows("path\tcaption\na.png\n"), doctest::Contains("captions:2: has 1 columns"), DataError);
  CHECK_THROWS_WITH_AS(rows("path,caption\na.png,\"a cat\nb.png,a dog\n"),
                       doctest::Contains("captions:2: a field begins with"), DataError);

  const auto texts = [&](const std::string& text) {
    test::write_text(path, text);
    std::string all;
    data::for_each_text(path, [&](std::string_view line) { all += std::string(line) + ";"; });
    return all;
  };
  CHECK(texts("path\tcaption\na.png\tone\n") == "one;");
  CHECK(texts("one\ntwo, \"three\n\n") == "one;two, \"three;;");
  CHECK(texts("") == "");
}
