#include "tests/tools/program.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <sstream>
#include <vector>

using namespace vitrail;
using test::check_says;
using test::kRecipes;
using test::Output;

namespace {

/// Runs a script of tools/ with the programs of this build.
Output run_script(const test::TemporaryFolder& folder, const std::string& settings, const std::string& command) {
  const auto file = [&](const char* name) { return (folder.path() / name).string(); };
  const std::string programs = VITRAIL_PROGRAMS;
  const std::string line = "cd " + folder.path().string() + " && TRAIN=" + programs + "/train VITRAIL=" + programs +
                           "/vitrail VITRAIL_DATA=/nowhere " + settings + " " VITRAIL_SOURCE_DIR "/tools/" + command +
                           " >" + file("stdout.txt") + " 2>" + file("stderr.txt") + " </dev/null";
  const int status = std::system(line.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, test::read_text(file("stdout.txt")),
          test::read_text(file("stderr.txt"))};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("the scripts compare DINO with DINOv2, and a pre-trained model with one from scratch, and run once only") {
  const test::TemporaryFolder folder;
  const std::string model = " model.embed_dim=24 model.depth=1 data.img_size=32 model.layerscale_init=0.1";
  const std::string compare =
      "compare_dino.sh out" + model +
      " crops.local_size=16 crops.local_number=1 head.out_dim=32 head.hidden_dim=16 head.bottleneck_dim=8 "
      "schedule.warmup_epochs=0 teacher.warmup_epochs=0 train.epochs=2 eval.every=1 eval.linear_epochs=0";
  const std::string recipes = "DINO=" + kRecipes + "dino_emoji.yaml DINOV2=" + kRecipes + "dinov2_emoji.yaml";
  check_says(run_script(folder, "", "compare_dino.sh"), 2, "usage: VITRAIL_DATA=/data tools/compare_dino.sh OUT");
  const Output compared = run_script(folder, recipes, compare + " model.num_registers=0");
  check_says(compared, 0, "| dinov2, all images | 2 | ");
  const std::vector<std::string> lines = lines_of(compared.out);
  REQUIRE(lines.size() == 8);
  CHECK(lines[0] == "| method | epochs | time | k-NN | linear | patches, k-NN | patches, mean IoU |");
  CHECK(lines[2].starts_with("| dino, all images | 2 | "));
  CHECK(lines[4].starts_with("| dino, equal time | "));
  CHECK(lines[6].starts_with("| untrained | | | "));
  for (const char* file : {"table.md", "knn_top1.png", "patch_knn.png", "dinov2_loss.png"})
    CHECK(std::filesystem::exists(folder.path() / "out" / file));
  const auto trained = std::filesystem::last_write_time(folder.path() / "out/dino/result.json");
  CHECK(run_script(folder, recipes, compare).out == compared.out);
  CHECK(std::filesystem::last_write_time(folder.path() / "out/dino/result.json") == trained);

  check_says(run_script(folder, "", "labels_worth.sh out"), 2, "usage: VITRAIL_DATA=/data tools/labels_worth.sh OUT");
  const std::string labels = "labels_worth.sh worth out/dinov2 0.2 1 0 1" + model + " data.root=" + kRecipes +
                             "assets/emoji model.patch_size=8 model.num_heads=3 model.mlp_ratio=2 train.batch_size=16 "
                             "schedule.warmup_epochs=0 precision=f32";
  const Output worth = run_script(folder, "START=optim.layer_decay=0.75", labels);
  CAPTURE(worth.err);
  REQUIRE(worth.code == 0);
  CHECK(worth.out.find("scratch    20% of the labels: ") != std::string::npos);
  CHECK(worth.out.find("pretrained 20% of the labels: ") != std::string::npos);
  CHECK(worth.out.find("(2 seeds: ") != std::string::npos);
  const std::string started = test::read_text(folder.path() / "worth/pretrained-1/resolved.yaml");
  CHECK(started.find("subset_seed: 1") != std::string::npos);
  CHECK(started.find("layer_decay: 0.75") != std::string::npos);
  CHECK(test::read_text(folder.path() / "worth/scratch-1/resolved.yaml").find("layer_decay: 1") != std::string::npos);

  check_says(run_script(folder, "", "compare_lora.sh out"), 2, "usage: VITRAIL_DATA=/data tools/compare_lora.sh OUT");
  const Output lora = run_script(folder, "LORA=lora.rank=2",
                                 "compare_lora.sh lora worth/pretrained-0 0 1 data.root=" + kRecipes +
                                     "assets/emoji data.img_size=32 data.subset=0.1 train.epochs=1 "
                                     "train.batch_size=16 schedule.warmup_epochs=0");
  CAPTURE(lora.err);
  REQUIRE(lora.code == 0);
  const std::vector<std::string> arms = lines_of(lora.out);
  REQUIRE(arms.size() == 4);
  CHECK(arms[0] == "| arm | top-1 | trained weights | peak memory | time |");
  CHECK(arms[2].starts_with("| full | "));
  CHECK(arms[3].starts_with("| lora | "));
  CHECK(arms[3].find("% +- ") != std::string::npos);
  CHECK(test::read_text(folder.path() / "lora/table.md") == lora.out);
}
