#include "tests/tools/program.h"
#include "vitrail/data/image/codec.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace vitrail;
using test::kDigits;
using test::kRecipes;
using test::Output;

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
}
