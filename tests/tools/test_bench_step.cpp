#include "tests/tools/program.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace vitrail;

namespace {

nlohmann::json json(const std::string& arguments) {
  const test::TemporaryFolder folder;
  const test::Output output = test::run(folder, "bench_step", arguments + " --json");
  CAPTURE(output.err);
  REQUIRE(output.code == 0);
  return nlohmann::json::parse(output.out);
}

}  // namespace

TEST_CASE("bench_step times the model of its options, or of a recipe") {
  const std::string tiny = "--model vit_tiny --embed-dim 32 --depth 2 --num-heads 2 --img-size 32 --patch-size 8 ";
  const auto step = json(tiny + "--batch 4");
  for (const char* key : {"ms", "images_per_s", "gflops", "peak_gflops", "share_of_peak", "peak_rss_mb"}) {
    CAPTURE(key);
    CHECK(step.at(key).get<double>() > 0);
  }
  CHECK(step["batch"] == 4);
  CHECK(json(tiny + "--batch 4 --forward-only --dtype bf16")["forward_only"] == true);

  CHECK(json(tiny + "--batch 4 --window 2 --global-every 2")["gflops"] > 0);

  const std::string recipe = "--recipe " + test::kRecipes + "vit_digits.yaml ";
  const auto from_recipe = json(recipe + "--batch 8");
  CHECK(from_recipe["model"] == "vit_tiny");
  CHECK(from_recipe["img_size"] == 8);
  CHECK(from_recipe["batch"] == 8);
  CHECK(from_recipe["dtype"] == "f32");
}

TEST_CASE("bench_step times the steps of DINO, DINOv2 and CLIP") {
  const auto dino = json("--recipe " + test::kRecipes + "dino_emoji.yaml --batch 2");
  CHECK(dino["method"] == "dino");
  CHECK(dino["model"] == "vit_tiny");
  CHECK(dino["img_size"] == 48);
  CHECK(dino["ms"].get<double>() > 0);

  const auto dinov2 = json("--recipe " + test::kRecipes + "dinov2_emoji.yaml --batch 2");
  CHECK(dinov2["method"] == "dinov2");
  CHECK(dinov2["ms"].get<double>() > 0);
  CHECK(dinov2["gflops"].get<double>() > 0);

  const std::string tiny = "--method clip --depth 1 --embed-dim 32 --num-heads 2 --img-size 32 --batch 2 ";
  const auto full = json(tiny), captions = json(tiny + "--tokens 12 --dtype bf16");
  CHECK(full["model"] == "ViT-B-32");
  CHECK(full["tokens"] == 77);
  CHECK(captions["tokens"] == 12);
  const auto operations = [](const nlohmann::json& step) {
    return step["gflops"].get<double>() * step["ms"].get<double>();
  };
  CHECK(operations(captions) < operations(full));
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
  fails("--method moco", "moco");
  fails("--method clip --model vit_small", "ViT-B-32");
  fails("--method clip --tokens 78", "--tokens 78 is outside [3, 77]");
  fails("--method dino --forward-only", "--method supervised");
  fails("--recipe " + test::kRecipes + "clip_emoji.yaml", "clip_emoji.yaml is a recipe of clip");
  fails("--recipe " + test::kRecipes + "vit_digits.yaml --depth 2", "--recipe");
}
