// vitrail chat, caption and eval on a run of llava.
#include "tests/support/small_llava.h"
#include "tests/support/training_run.h"
#include "tests/tools/program.h"
#include "vitrail/data/image/codec.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace vitrail;
using test::check_says;
using test::Output;
using test::vitrail_program;

namespace {

/// The folder of the data, with a run.
struct LlavaRunFolder {
  test::SquareQuestions data;

  explicit LlavaRunFolder(const std::vector<std::string>& changes) {
    test::SmallLlava llava(data, changes);
    const auto folder = recipes::RunFolder::create(data.path() / "run", "squares");
    test::run(*llava.recipe, folder, llava.config.yaml(false));
  }
  Output vitrail(const std::string& arguments) const { return vitrail_program(data.folder, arguments); }
  nlohmann::json json(const std::string& arguments) const {
    const Output output = vitrail(arguments + " --json");
    CAPTURE(arguments);
    CAPTURE(output.err);
    REQUIRE(output.code == 0);
    return nlohmann::json::parse(output.out);
  }
};

}  // namespace

TEST_CASE("vitrail chat, caption and eval: a run of llava answers questions") {
  const LlavaRunFolder run({"train.epochs=40", "eval.every=40"});
  const auto answers = run.json("chat run squares/red1.png --ask 'which colour?' --ask 'is it red?' -n 8");
  REQUIRE(answers["answers"].size() == 2);
  CHECK(answers["template"] == "llava_hf");
  CHECK(answers["answers"][1]["prompt_tokens"] < answers["answers"][0]["prompt_tokens"]);
  CHECK(answers["answers"][1]["image_seconds"] == 0);
  const std::string colour = answers["answers"][0]["answer"];
  const Output shown = run.vitrail("chat run squares/red1.png --ask 'which colour?' -n 8");
  CHECK(shown.out == colour + "\n");
  CHECK(shown.err.find("tokens in") != std::string::npos);
  check_says(run.vitrail("chat run squares/red1.png"), 0, "/clear begins anew");  // no input: it ends
  check_says(run.vitrail("chat run squares/red1.png --json"), 2, "--ask");
  check_says(run.vitrail("chat run squares/none.png --ask x"), 3, "none.png");
  check_says(run.vitrail("chat run squares/red1.png --ask x --template v9"), 2, "there is no template 'v9'");
  check_says(run.vitrail("chat run --ask 'who are you?' -n 4"), 0, "");

  const auto captions = run.json("caption run squares/red1.png squares/blue1.png --ask 'which colour?' -n 8");
  REQUIRE(captions.size() == 2);
  CHECK(captions[0]["caption"] == colour);
  CHECK(run.vitrail("caption run squares/red1.png --ask 'which colour?' -n 8").out ==
        "squares/red1.png\t" + colour + "\n");

  const auto scores = run.json("eval run --confusion answers --examples examples.png");
  CHECK(scores["questions"] == 12);
  CHECK(scores["accuracy"] > 0.6);
  CHECK(scores.contains("accuracy_blank_colour"));
  CHECK(scores["answers"].size() == 12);
  CHECK(scores["answers"][0].contains("blank"));
  CHECK(data::read_image(run.data.path() / "examples.png").width() > 256);
  const std::string matrix = test::read_text(run.data.path() / "answers.csv");
  CHECK(matrix.find("(another answer)") != std::string::npos);
  const Output table = run.vitrail("eval run");
  for (const char* text : {"blank image", "yes or no", "% right"}) check_says(table, 0, text);
  const auto whole = run.json("eval run questions.train.tsv eval.blank=false");
  CHECK(whole["questions"] == 25);
  CHECK(!whole.contains("accuracy_blank"));
}

TEST_CASE("vitrail caption and eval: a first stage says what it sees, and tells captions apart") {
  const test::SquareQuestions data;
  LlavaRunFolder run(test::first_stage(data));
  const auto captions = run.json("caption run squares/red1.png -n 12");
  CHECK(captions.size() == 1);
  const Output table = run.vitrail("eval run");
  check_says(table, 0, "the right sentence of 4 is the likeliest for");
  check_says(run.vitrail("eval run --confusion c.csv"), 2, "--confusion needs");
}
