#include "tests/support/json_file.h"
#include "tests/support/reference.h"
#include "tests/tools/program.h"

#include <doctest/doctest.h>

using namespace vitrail;
using nlohmann::json;
using test::check_says;
using test::Output;
using test::vitrail_program;

TEST_CASE("vitrail tokens prints tokens and ids of texts") {
  const auto path = test::reference_path("language_tokenizers.json");
  if (!path) return;
  const json line = test::read_json(*path)[0];
  const test::TemporaryFolder folder;
  test::write_text(folder.path() / "tokenizer.json", line["tokenizer"].dump());
  json texts = json::array();
  for (const json& row : line["texts"]) texts.push_back(row["input"]);
  test::write_text(folder.path() / "texts.json", texts.dump());

  const Output found = vitrail_program(folder, "tokens . --texts-file texts.json --json");
  CHECK(found.code == 0);
  const json answer = json::parse(found.out);
  CHECK(answer["bos"] == 1);
  CHECK(answer["pad"].is_null());
  REQUIRE(answer["texts"].size() == texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    CHECK(answer["texts"][i]["ids"] == line["texts"][i]["ids"]);
    CHECK(answer["texts"][i]["decoded"] == line["texts"][i]["text"]);
    CHECK(answer["texts"][i]["tokens"].size() == answer["texts"][i]["ids"].size());
  }

  const std::string size = std::to_string(answer["size"].get<int>());
  check_says(vitrail_program(folder, "tokens tokenizer.json"), 0,
             size + " tokens; begin of a text: <s> (1); ends: none; padding: none");
  check_says(vitrail_program(folder, "tokens . '</s>'"), 0, "</s>: 1 tokens\n</s>  2\n");
  check_says(vitrail_program(folder, "tokens . a --texts-file texts.json"), 2, "--texts-file");
  check_says(vitrail_program(folder, "tokens . --texts-file tokenizer.json"), 3, "is no JSON list of texts");
  check_says(vitrail_program(folder, "tokens nowhere.json"), 3, "nowhere.json");
  check_says(vitrail_program(folder, "tokens texts.json"), 3, "has no 'model'");
}
