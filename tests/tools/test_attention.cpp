// The commands that show what a transformer looks at, on models with windows, rotary positions and registers.
#include "tests/support/text_file.h"
#include "tests/tools/program.h"
#include "vitrail/data/image/codec.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace vitrail;
using test::kDigits;
using test::kRecipes;
using test::Output;

namespace {

nlohmann::json json_of(const test::TemporaryFolder& folder, const std::string& arguments) {
  const Output output = test::run(folder, "vitrail", arguments);
  CAPTURE(arguments);
  CAPTURE(output.err);
  REQUIRE(output.code == 0);
  return nlohmann::json::parse(output.out);
}

}  // namespace

TEST_CASE("a run with windows and rotary positions is trained, resumed, opened, and looked into") {
  const test::TemporaryFolder folder;
  const std::string keys =
      " model.pos=rope model.window=2 model.global_every=2 model.num_registers=2 model.global_pool=token model.depth=2 "
      "model.embed_dim=32 schedule.warmup_epochs=0 data.root=" +
      kDigits;
  for (const std::string& arguments :
       {kRecipes + "vit_digits.yaml out=run train.epochs=1" + keys, std::string("--resume run train.epochs=2")}) {
    const Output output = test::run(folder, "train", arguments);
    CAPTURE(output.err);
    REQUIRE(output.code == 0);
  }
  const auto scores = json_of(folder, "eval run --confusion '' --json");
  const auto result = nlohmann::json::parse(test::read_text(folder.path() / "run/result.json"));
  CHECK(scores["top1"] == doctest::Approx(result["best"]["metrics"]["top1"].get<double>()));
  CHECK(test::run(folder, "vitrail", "convert run -o model").err.find("this one has windows: use the run itself") !=
        std::string::npos);
  const Output start =
      test::run(folder, "train",
                kRecipes + "vit_digits.yaml out=other train.epochs=1 init=run model=from_init data.root=" + kDigits +
                    " --print-config");
  CAPTURE(start.err);
  for (const char* line : {"pos: rope", "window: 2", "global_every: 2"})
    CHECK(start.out.find(line) != std::string::npos);

  data::write_png(folder.path() / "a.png", data::Image(24, 16));
  data::write_png(folder.path() / "b.png", data::Image(16, 16));
  const auto distance = json_of(folder, "attention run a.png b.png --distance --json -o d.png");
  CHECK(distance["images"] == 2);
  REQUIRE(distance["blocks"].size() == 2);
  CHECK(distance["blocks"][0]["heads"].size() > 0);
  CHECK(distance["blocks"][0]["mean"] < distance["blocks"][1]["mean"]);  // the first has windows
  CHECK(distance["uniform"] > 0);
  CHECK(data::read_image(folder.path() / "d.png").width() == 800);

  const auto artifacts = json_of(folder, "artifacts run a.png b.png --json");
  CHECK(artifacts["prefix_norms"].size() == 3);
  CHECK(artifacts["images"].size() == 2);
  CHECK(artifacts["images"][0]["norms"].size() ==
        artifacts["images"][0]["rows"].get<size_t>() * artifacts["images"][0]["columns"].get<size_t>());
  CHECK(artifacts["cutoff"].get<double>() == doctest::Approx(3 * artifacts["median"].get<double>()));
  CHECK(data::read_image(folder.path() / "artifacts.png").width() > 4 * 240);
}

TEST_CASE("attention distances and artifacts of published models, as text and with their errors") {
  const test::TemporaryFolder folder;
  const auto says = [&](const std::string& arguments, int code, const std::string& text) {
    const Output output = test::run(folder, "vitrail", arguments);
    CAPTURE(arguments);
    CAPTURE(output.out);
    CAPTURE(output.err);
    CHECK(output.code == code);
    CHECK((output.out + output.err).find(text) != std::string::npos);
  };
  says("init --arch vit_tiny --classes 2 --out vit", 0, "wrote vit/config.json");
  data::write_png(folder.path() / "a.png", data::Image(40, 30));
  says("attention vit a.png --distance --size 32", 0, "attention.png: mean attention distance in pixels, 1 images");
  says("attention vit a.png --json", 2, "give --distance too");
  says("artifacts vit a.png --size 32", 0, "0 patches (0.00%) are outliers, with a norm above");
  says("artifacts vit a.png --size 32 --cutoff 0.001", 0, "(100.00%) are outliers, with a norm above 0.00");
  says("artifacts vit a.png --cutoff 1 --ratio 2", 2, "--ratio");
  says("artifacts vit none.png", 3, "none.png");
}
