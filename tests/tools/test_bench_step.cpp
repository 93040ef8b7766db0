#include "tests/tools/program.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace vitrail;

TEST_CASE("bench_step times the model of its options, or of a recipe") {
  const test::TemporaryFolder folder;
  const auto json = [&](const std::string& arguments) {
    const test::Output output = test::run(folder, "bench_step", arguments + " --json");
    CAPTURE(output.err);
    REQUIRE(output.code == 0);
    return nlohmann::json::parse(output.out);
  };
  const std::string tiny = "--model vit_tiny --embed-dim 32 --depth 2 --num-heads 2 --img-size 32 --patch-size 8 ";
  const auto step = json(tiny + "--batch 4");
  for (const char* key : {"ms", "images_per_s", "gflops", "peak_gflops", "share_of_peak", "peak_rss_mb"}) {
    CAPTURE(key);
    CHECK(step.at(key).get<double>() > 0);
  }
  CHECK(step["batch"] == 4);
  CHECK(json(tiny + "--batch 4 --forward-only --dtype bf16")["forward_only"] == true);

  const std::string recipe = "--recipe " + test::kRecipes + "vit_digits.yaml ";
  const auto from_recipe = json(recipe + "--batch 8");
  CHECK(from_recipe["model"] == "vit_tiny");
  CHECK(from_recipe["img_size"] == 8);
  CHECK(from_recipe["batch"] == 8);
  CHECK(from_recipe["dtype"] == "f32");
}

TEST_CASE("bench_step says what is wrong with its arguments") {
  const test::TemporaryFolder folder;
  const auto fails = [&](const std::string& arguments, const std::string& text) {
    const test::Output output = test::run(folder, "bench_step", arguments);
    CAPTURE(output.err);
    CHECK(output.code == 2);
    CHECK(output.err.find(text) != std::string::npos);
  };
  fails("--model vit_giant", "vit_giant");
  fails("--dtype f64", "f32 or bf16");
  fails("--recipe nowhere.yaml", "nowhere.yaml: no such file");
  fails("--recipe " + test::kRecipes + "vit_digits.yaml --depth 2", "--recipe");
}
