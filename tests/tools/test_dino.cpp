#include "tests/support/close.h"
#include "tests/tools/program.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/core/tensor_map.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/recipes/eval/feature_file.h"
#include "vitrail/recipes/run/checkpoint.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace vitrail;
using test::check_says;
using test::kDigits;
using test::kRecipes;
using test::Output;
using test::vitrail_program;

TEST_CASE("a network trained by DINO is evaluated and drawn by one command each") {
  const test::TemporaryFolder folder;
  const auto vitrail = [&](const std::string& arguments) {
    Output output = test::run(folder, "vitrail", arguments);
    CAPTURE(arguments);
    CAPTURE(output.err);
    CHECK(output.code == 0);
    return output;
  };
  const std::string small =
      " model.embed_dim=24 model.depth=2 data.img_size=16 crops.local_size=8 crops.local_number=2 head.out_dim=32 "
      "head.hidden_dim=16 head.bottleneck_dim=8 optim.warmup_epochs=0 train.epochs=1 eval.linear_epochs=0";
  REQUIRE(test::run(folder, "train", kRecipes + "dino_emoji.yaml out=run" + small).code == 0);

  const auto knn = nlohmann::json::parse(vitrail("knn run -k 5 20 --baselines --json").out);
  CHECK(knn["knn"].size() == 6);
  CHECK(knn["knn"][0]["features"] == "model");
  CHECK(knn["knn"][5]["features"] == "pixels");
  CHECK(knn["retrieval_map"] > 0.1);
  CHECK(vitrail("knn run -k 5").out.find("mean average precision") != std::string::npos);
  const auto linear = nlohmann::json::parse(vitrail("linear run --blocks 2 --epochs 3 --augment 2 --json").out);
  CHECK(linear["feature_dim"] == 48);
  CHECK(linear["sweep"].size() == 6);
  CHECK(linear["top5"] >= linear["top1"]);

  const auto patches = nlohmann::json::parse(vitrail("patches run --baselines --json").out);
  CHECK(patches["background"] == "random");
  CHECK(patches["things"] > 0.4);
  REQUIRE(patches["scores"].size() == 4);
  CHECK(patches["scores"][0]["accuracy"] > 0.5);
  CHECK(patches["scores"][3] ==
        nlohmann::json{{"features", "majority"}, {"accuracy", 0.5}, {"miou", patches["scores"][3]["miou"]}});
  // The same with one colour behind all drawings, which even pixels tell apart.
  const auto white = nlohmann::json::parse(vitrail("patches run --baselines --background white --json").out);
  CHECK(white["scores"][2]["accuracy"] > patches["scores"][2]["accuracy"]);
  CHECK(vitrail("patches run " + kRecipes + "assets/emoji_cutouts/val.tar.gz -k 3").out.find("of 17 images") !=
        std::string::npos);

  vitrail("neighbours run -n 3 -k 4");
  CHECK(data::read_image(folder.path() / "neighbours.png").width() > 5 * 96);
  const std::string asked = (folder.path() / "neighbours.png").string();
  CHECK(vitrail("neighbours run -q " + asked + " " + asked + " -o two.png").out.find("two.png: 2 images") !=
        std::string::npos);
  CHECK(vitrail("map run --method pca").out.find("PCA of 60 images") != std::string::npos);
  CHECK(data::read_image(folder.path() / "map.png").height() > 700);
  vitrail("preview " + kRecipes + "dino_emoji.yaml -n 12 -o views.png");
  const std::string image = (folder.path() / "views.png").string();
  CHECK(vitrail("attention run -o two.png " + image + " " + image).out.find("two.png: 2 images") != std::string::npos);
  CHECK(vitrail("attention run " + image).out == "attention.png: 1 images, 3 heads\n");
  CHECK(data::read_image(folder.path() / "attention.png").width() > 4 * 240);
  CHECK(vitrail("pca run " + folder.path().string() + " -n 2 --size 32").out.find("2 images") != std::string::npos);

  const Output eval = test::run(folder, "vitrail", "eval run");
  CHECK(eval.code == 2);
  CHECK(eval.err.find("has no classifier; evaluate its features with vitrail knn or vitrail linear") !=
        std::string::npos);
  CHECK(test::run(folder, "vitrail", "summary run").out.find("blocks.1.mlp") != std::string::npos);
  CHECK(test::run(folder, "vitrail", "attention run nowhere.png").err.find("nowhere.png") != std::string::npos);
  check_says(vitrail_program(folder, "patches run --background whit"), 2, "'whit' is no colour");
  check_says(vitrail_program(folder, "patches run " + kRecipes + "assets/emoji"), 3, "has transparent pixels");
}

TEST_CASE("the teacher of a DINOv2 run becomes a model of the DINOv2 repository and of Hugging Face") {
  const test::TemporaryFolder folder;
  const std::string small =
      " model.embed_dim=24 model.depth=2 model.ffn=swiglu data.img_size=32 crops.local_size=16 crops.local_number=2 "
      "head.out_dim=32 head.hidden_dim=16 head.bottleneck_dim=8 schedule.warmup_epochs=0 teacher.momentum=0.5 "
      "train.epochs=1 eval.linear_epochs=0 eval.baselines=false";
  REQUIRE(test::run(folder, "train", kRecipes + "dinov2_emoji.yaml out=run" + small).code == 0);
  check_says(vitrail_program(folder, "convert run --layout dinov2 -o dinov2.safetensors"), 0,
             "DinoVisionTransformer(img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3");
  check_says(vitrail_program(folder, "convert run -o hf"), 0, "wrote hf/preprocessor_config.json");
  const TensorMap teacher = without_prefix(recipes::load_checkpoint(folder.path() / "run/checkpoints/best.h5").tensors,
                                           "recipe/teacher/backbone.");
  REQUIRE(teacher.contains("mask_token"));
  const TensorMap theirs = safetensors::Reader(folder.path() / "dinov2.safetensors").read_all();
  REQUIRE(theirs.size() == teacher.size());
  CHECK(test::max_difference(theirs.at("mask_token"), teacher.at("mask_token")) == 0);
  CHECK(test::max_difference(theirs.at("register_tokens"), teacher.at("reg_token")) == 0);
  CHECK(test::max_difference(theirs.at("blocks.1.mlp.w12.weight"), teacher.at("blocks.1.mlp.fc1.weight")) == 0);
  CHECK(test::read_text(folder.path() / "hf/config.json").find("Dinov2WithRegistersModel") != std::string::npos);

  data::write_png(folder.path() / "a.png", data::Image(40, 30));
  for (const char* model : {"run", "hf"})
    check_says(vitrail_program(folder, std::string("features a.png -m ") + model + " -o " + model + ".h5"), 0, ".h5");
  const auto features = [&](const char* name) { return recipes::read_features(folder.path() / name).features; };
  CHECK(test::max_difference(features("hf.h5"), features("run.h5")) == 0);
}
