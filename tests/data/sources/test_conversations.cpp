#include "tests/data/samples.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/data/sources/conversations.h"
#include "vitrail/data/sources/source_parts.h"

#include <doctest/doctest.h>

#include <cstdlib>

namespace vitrail::data {
namespace {

std::string picture(int number) { return test::numbered_bmp(0, number); }

struct Files {
  explicit Files(const std::vector<std::pair<std::string, std::string>>& files) {
    for (const auto& [name, content] : files) test::write_file(folder.path() / name, content);
  }
  std::string path(const std::string& name = {}) const {
    return (name.empty() ? folder.path() : folder.path() / name).string();
  }

  test::TemporaryFolder folder;
};

/// "2: user: ..., assistant: ... (family)" in lines; the number is the blue value of the image.
std::string text_of(const Conversations& all) {
  REQUIRE(all.image_of.size() == all.samples.size());
  std::string text;
  for (size_t i = 0; i < all.samples.size(); ++i) {
    const int64_t image = all.image_of[i];
    text += image == kNoImage ? "-" : std::to_string(test::first_pixel(all.images->get(image).image)[2]);
    text += ":";
    if (all.samples[i].system) text += " [" + *all.samples[i].system + "]";
    for (const Turn& turn : all.samples[i].turns) {
      std::string words = turn.text;
      for (size_t at; (at = words.find('\n')) != words.npos;) words.replace(at, 1, "/");
      text += (turn.role == Role::user ? " U " : " A ") + words;
    }
    if (!all.family_of.empty() && all.family_of[i] >= 0) text += " (" + all.families[size_t(all.family_of[i])] + ")";
    text += "\n";
  }
  return text;
}

Conversations open(const Files& files, const std::string& name, const ConversationOptions& options = {}) {
  return open_conversations(files.path(name), "train", options);
}

/// The conversations of a file of that content, beside 1.bmp.
std::string json(const std::string& content) {
  const Files files{{{"train.json", content}, {"1.bmp", picture(1)}}};
  return text_of(open(files, ""));
}

template <class E>
void refused(const std::string& content, const char* message) {
  CAPTURE(content);
  CHECK_THROWS_WITH_AS(json(content), doctest::Contains(message), E);
}

}  // namespace

TEST_CASE("a table of questions: each row is a conversation, each image is there once") {
  const Files files{{{"questions.train.tsv",
                      "type\tpath\tquestion\tanswer\n"
                      "colour\ta/2.bmp\twhat colour?\tred\n"
                      "\ta/1.bmp\t\"is it, say, \"\"red\"\"?\"\tno\n"
                      "count\ta/2.bmp\thow many?\t2\n"
                      "count\ta/2.bmp\t \t2\n"
                      "count\t\thow many legs has a cat?\t4\n"},
                     {"images.train.tar", test::tar({{"a/1.bmp", picture(1)}, {"a/2.bmp", picture(2)}})}}};
  const Conversations all = open(files, "");
  CHECK(text_of(all) ==
        "2: U <image>/what colour? A red (colour)\n"
        "1: U <image>/is it, say, \"red\"? A no\n"
        "2: U <image>/how many? A 2 (count)\n"
        "-: U how many legs has a cat? A 4 (count)\n");
  CHECK(all.images->size() == 2);
  CHECK(all.images->name(0) == files.path("images.train.tar") + "/a/2.bmp");
  REQUIRE(all.images->notes().size() == 1);
  CHECK(all.images->notes()[0].ends_with("rows without a question or answer, which are passed over: 1"));

  Conversations some = subset(open(files, ""), {1}, /*without_image=*/true);
  CHECK(text_of(some) == "1: U <image>/is it, say, \"red\"? A no\n-: U how many legs has a cat? A 4 (count)\n");
  CHECK(subset(open(files, ""), {1, 0}, false).image_of == std::vector<int64_t>{1, 0, 1});
  CHECK_THROWS_WITH_AS(subset(open(files, ""), {2}, false), doctest::Contains("index 2 is outside [0, 2)"), ShapeError);
}

TEST_CASE("captions are conversations in which the user shows an image") {
  Pairs pairs;
  pairs.images =
      open(Files{{{"train.tsv", "path\tquestion\tanswer\n1.bmp\ta\tb\n"}, {"1.bmp", picture(1)}}}, "").images;
  pairs.captions = {{"a cat", "cat"}};
  pairs.kinds = {"short"};
  pairs.kind_of = {{-1, 0}};
  const Conversations all = describing(std::move(pairs));
  REQUIRE(all.size() == 2);
  CHECK(all.samples[0].turns[0].text == "<image>");
  CHECK(all.samples[0].turns[1].text == "a cat");
  CHECK(all.image_of == std::vector<int64_t>{0, 0});
  CHECK(all.families == std::vector<std::string>{"short"});
  CHECK(all.family_of == std::vector<int64_t>{-1, 0});
  CHECK(all.images->size() == 1);
}

TEST_CASE("columns of a table of questions have several names") {
  const Files files{{{"train.csv", "image,statement,label,x\n1.bmp,\"a, b\",true,0\n"}, {"1.bmp", picture(1)}}};
  CHECK(text_of(open(files, "train.csv")) == "1: U <image>/a, b A true\n");
  const Files wrong{{{"train.csv", "img,question,answer\n1.bmp,a,b\n"}, {"1.bmp", picture(1)}}};
  CHECK_THROWS_WITH_AS(open(wrong, ""),
                       doctest::Contains("path, question and answer (or image, prompt and label); it "
                                         "has img, question, answer"),
                       DataError);
  const Files latin{{{"train.csv", "path,question,answer\n1.bmp,a,caf\xE9\n"}, {"1.bmp", picture(1)}}};
  CHECK_THROWS_WITH_AS(open(latin, ""), doctest::Contains("train.csv:2: is not UTF-8"), DataError);
}

TEST_CASE("LLaVA's conversations, as an array and as lines") {
  const std::string first =
      R"({"id": "a", "image": "1.bmp", "conversations": [{"from": "human", "value": "<image>\nWhat?"},)"
      "\n"
      R"({"from": "gpt", "value": "A }] \"dog\"."}, {"from": "human", "value": "Sure?"}, {"from": "gpt", "value": "Yes."}]})";
  const std::string text = R"({"id": 7, "type": "talk", "conversations": [{"from": "gpt", "value": "I begin."},)"
                           R"({"from": "user", "value": "Hi"}, {"from": "assistant", "value": "Hello"}]})";
  const std::string unnamed = R"({"image": "1.bmp", "conversations": [{"from": "system", "value": "Be brief."},)"
                              R"({"from": "human", "value": "What?"}, {"from": "gpt", "value": "A dog."}]})";
  const std::string expected =
      "1: U <image>/What? A A }] \"dog\". U Sure? A Yes.\n"
      "-: U Hi A Hello (talk)\n"
      "1: [Be brief.] U <image>/What? A A dog.\n";
  CHECK(json("\xEF\xBB\xBF [" + first + ",\n" + text + " , " + unnamed + "]\n") == expected);
  const Files lines{{{"mine.jsonl", first + "\n" + text + "\n\n" + unnamed + "\n"}, {"1.bmp", picture(1)}}};
  CHECK(text_of(open_conversations(lines.path("mine.jsonl"), "train")) == expected);
}

TEST_CASE("other JSON is refused by file and line") {
  const std::string good = R"({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]})";
  refused<DataError>("[" + good + "\n" + good + "]", "train.json:2: expected ',' or ']'");
  refused<DataError>("[" + good + ",\n", "train.json:2: the array has no end");
  refused<DataError>("[" + good + "]\n\n1", "train.json:3: the array has ended, and there is more");
  refused<DataError>("[1]", "train.json:1: expected a conversation, an object {\"image\"");
  refused<DataError>("[\n{\"a\": [}", "train.json:2: the conversation that begins here has no end");
  refused<IoError>("[\n{\"a\": 1,}]", "train.json:2: ");
  refused<DataError>("[\n{\"conversation\": [], \"id\": 1}]",
                     "train.json:2: there is no 'conversations'; the nearest name is 'conversation'");
  refused<DataError>(R"([{"conversations": {}}])", "train.json:1: 'conversations' is {}; it must be a list");
  refused<DataError>(R"([{"conversations": ["a"]}])", "a turn is \"a\"; it must be {\"from\": \"human\"");
  refused<DataError>(R"([{"conversations": [{"from": "bot", "value": "a"}]}])", "a turn is from 'bot'");
  refused<DataError>(R"([{"conversations": []}])", "train.json:1: has no turns");
  refused<DataError>(R"([{"conversations": [{"from": "human", "value": "a"}, {"from": "human", "value": "b"}]}])",
                     "train.json:1: turn 2 is the user's");
  refused<DataError>(R"([{"conversations": [{"from": "human", "value": "<image> a"}]}])", "there is no 'image'");
  refused<DataError>(R"([{"image": ["1.bmp"], "conversations": []}])", "'image' is [\"1.bmp\"]; it must be one text");
  refused<DataError>(
      R"([{"image": "1.bmp", "conversations": [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "b"},)"
      R"({"from": "human", "value": "<image>"}]}])",
      "2 turns name <image>; a conversation has one image");
  refused<DataError>("[]", "has no conversations");
  refused<DataError>("[" + good + ",\n" + R"({"image": "2.bmp", "conversations": [{"from": "human", "value": "a"}]}])",
                     "train.json:2: there is no image '2.bmp' in");
}

TEST_CASE("missing images end the reading, or are left out and listed") {
  const Files files{{{"train.tsv", "path\tquestion\tanswer\n1.bmp\ta\tb\n3.bmp\tc\td\n3.bmp\te\tf\n../x.bmp\tg\th\n"},
                     {"1.bmp", picture(1)},
                     {"2.bmp", picture(2)}}};
  CHECK_THROWS_WITH_AS(open(files, ""), doctest::Contains("train.tsv:3: there is no image '3.bmp' in /"), DataError);
  const Conversations rest = open(files, "", {.skip_missing = true});
  CHECK(text_of(rest) == "1: U <image>/a A b\n");
  CHECK(rest.missing == std::vector<std::string>{"3.bmp", "../x.bmp"});
  CHECK(rest.named == 3);
}

TEST_CASE("files of conversations are found by name") {
  const auto parts = [](const std::vector<std::string>& names, const std::string& inside = {}) {
    std::vector<std::pair<std::string, std::string>> files;
    files.reserve(names.size());
    for (const std::string& name : names) files.emplace_back(name, "");
    const Files folder{files};
    std::string out;
    for (const SourcePart& part : find_conversation_parts(folder.path(inside))) {
      out += (out.empty() ? "" : "; ") + (part.split.empty() ? std::string("-") : part.split) + ":";
      for (const std::string& file : part.paths) out += " " + std::filesystem::path(file).filename().string();
    }
    return out;
  };
  CHECK(parts({"questions.train.tsv", "questions.test.tsv", "images.train.tar", "images.test.tar", "answers.txt"}) ==
        "test: questions.test.tsv images.test.tar; train: questions.train.tsv images.train.tar");
  CHECK(parts({"conversations.json", "captions.tsv"}) == "-: conversations.json");
  CHECK(parts({"train.jsonl", "val.json", "images.tar"}) == "train: train.jsonl images.tar; val: val.json images.tar");
  CHECK(parts({"mix665k.json", "a.tar"}, "mix665k.json") == "-: mix665k.json a.tar");
  CHECK_THROWS_WITH_AS(parts({"questions.train.tsv", "train.json"}), doctest::Contains("several tables of one part"),
                       DataError);
  CHECK_THROWS_WITH_AS(parts({"mix665k.json"}), doctest::Contains("no conversations in a known format: mix665k.json"),
                       DataError);
  CHECK_THROWS_WITH_AS(parts({"a.txt"}, "a.txt"), doctest::Contains("of an unknown format; conversations are read"),
                       DataError);
  CHECK_THROWS_WITH_AS(parts({}, "nowhere"), doctest::Contains("nowhere does not exist"), DataError);
  const Files one{{{"questions.test.tsv", "path\tquestion\tanswer\n1.bmp\ta\tb\n"}, {"1.bmp", picture(1)}}};
  CHECK(text_of(open_conversations(one.path(), "val")) == "1: U <image>/a A b\n");
  CHECK_THROWS_WITH_AS(open(one, ""), doctest::Contains("no part 'train'; there is: test (conversations)"), DataError);
}

TEST_CASE("development data of questions opens as its notes say") {
  const char* data = std::getenv("VITRAIL_DATA");
  if (data == nullptr) {
    MESSAGE("not run: set VITRAIL_DATA to the folder that holds easy_vqa and vqa_rad");
    return;
  }
  const Conversations train = open_conversations(data + std::string("/easy_vqa"), "train");
  CHECK(train.size() == 38575);
  CHECK(train.images->size() == 4000);
  CHECK(train.images->get(7).image.size() == ImageSize{64, 64});
  CHECK(open_conversations(data + std::string("/easy_vqa"), "val").size() == 4737);
  const Conversations medical = open_conversations(data + std::string("/vqa_rad"), "test");
  CHECK(medical.size() == 451);
  CHECK(medical.families == std::vector<std::string>{"CLOSED", "OPEN"});
}

}  // namespace vitrail::data
