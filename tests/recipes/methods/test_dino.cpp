#include "tests/support/close.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/training_run.h"
#include "vitrail/core/error.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/methods/dino.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/start_weights.h"
#include "vitrail/recipes/run/checkpoint.h"

#include <doctest/doctest.h>

using namespace vitrail;
using namespace vitrail::recipes;
using test::Outcome;
using test::run;
namespace fs = std::filesystem;

namespace {

const fs::path kRecipes = fs::path(VITRAIL_SOURCE_DIR) / "recipes";

/// dino_emoji.yaml made smaller: three steps an epoch.
struct SmallDino {
  explicit SmallDino(const std::vector<std::string>& changes = {}) : config(settings) {
    config.read(kRecipes / "dino_emoji.yaml");
    for (const char* change :
         {"model.embed_dim=24", "model.depth=2", "model.drop_path_rate=0.2", "data.img_size=16", "crops.local_size=8",
          "crops.local_number=2", "head.out_dim=32", "head.hidden_dim=16", "head.bottleneck_dim=8",
          "teacher.warmup_temp=0.03", "teacher.warmup_epochs=2", "schedule.warmup_epochs=1", "train.epochs=3",
          "train.log_every=1", "eval.every=2", "eval.linear_epochs=3"})
      config.set(change);
    for (const std::string& change : changes) config.set(change);
    recipe = settings.build();
  }

  DinoConfig settings;
  Config config;
  std::unique_ptr<Recipe> recipe;
};

void write_images(const fs::path& folder) {
  for (int i = 0; i < 6; ++i) {
    data::Image image(20, 30);
    for (size_t k = 0; k < image.pixels().size(); ++k) image.data()[k] = uint8_t(k * size_t(i + 1));
    const fs::path below = folder / (i % 2 == 0 ? "." : "deeper/still");
    fs::create_directories(below);
    data::write_png(below / (std::to_string(i) + ".png"), image);
  }
}

/// Trains without a stop in `whole`, and with a stop and a resume in `other`. Both must end the same. Returns the
/// outcome.
Outcome check_resumes(const RunFolder& whole, const fs::path& other, const std::vector<std::string>& changes) {
  SmallDino reference(changes), first(changes), second(changes);
  Outcome expected = run(*reference.recipe, whole, reference.config.yaml(false));
  CHECK(expected.code == 0);
  const RunFolder parts = RunFolder::create(other, "emoji");
  test::StopAfter stopped(*first.recipe, 7);
  CHECK(run(stopped, parts, first.config.yaml(false)).code == 130);
  const Outcome resumed = run(*second.recipe, parts, second.config.yaml(false));
  CHECK(resumed.last == expected.last);
  CHECK(resumed.result["metrics"] == expected.result["metrics"]);
  return expected;
}

}  // namespace

TEST_CASE("dino goes on bit for bit from the middle of an epoch, and its checkpoint opens as a model") {
  for (const std::string precision : {"f32", "bf16"}) {
    CAPTURE(precision);
    const test::TemporaryFolder temp;
    const RunFolder whole = RunFolder::create(temp.path() / "whole", "emoji");
    const Outcome expected = check_resumes(whole, temp.path() / "parts", {"precision=" + precision});
    CHECK(expected.result["steps"] == 9);
    for (const char* name : {"knn_top1", "knn_top1_untrained", "knn_top1_pixels", "linear_top1", "retrieval_map",
                             "t_entropy", "t_kl", "feat_rank", "feat_std"})
      CHECK(expected.result["metrics"].contains(name));

    const OpenModel trained = open_model(whole.path());
    CHECK(trained.averaged);
    CHECK(trained.classify == nullptr);
    CHECK(trained.image_features(zeros({1, 3, 16, 16})).shape() == Shape{1, 24});
    CHECK(trained.tokens(zeros({1, 3, 16, 16})).patches.shape()[2] == 24);
    CHECK(read_weights(whole.path()).tensors.contains("blocks.1.mlp.fc2.bias"));
  }
}

TEST_CASE("dino of a ResNet, with batch normalisation in the head, goes on bit for bit too") {
  const test::TemporaryFolder temp;
  const RunFolder whole = RunFolder::create(temp.path() / "whole", "emoji");
  check_resumes(whole, temp.path() / "parts",
                {"model.arch=resnet8", "model.width=4", "model.patch_size=~", "model.embed_dim=~", "model.depth=~",
                 "model.num_heads=~", "model.mlp_ratio=~", "model.drop_path_rate=0", "head.use_bn=true"});
  CHECK(open_model(whole.path()).backbone->feature_dim() == 16);
}

TEST_CASE("dino trains on a folder of images without labels and says that k-NN is left out") {
  const test::TemporaryFolder temp;
  write_images(temp.path() / "images");
  const std::string root = "data.root=" + (temp.path() / "images").string();
  SmallDino small({root, "train.batch_size=2", "train.epochs=2", "data.workers=1"});
  const RunFolder folder = RunFolder::create(temp.path() / "run", "images");
  const Outcome outcome = run(*small.recipe, folder, small.config.yaml(false));
  CHECK(outcome.code == 0);
  CHECK(outcome.log.find("no k-NN evaluation") != std::string::npos);
  CHECK(outcome.log.find("train.batch_size 2 is small for DINO") != std::string::npos);
  CHECK(outcome.result["metrics"].contains("feat_rank"));
  CHECK_FALSE(outcome.result["metrics"].contains("knn_top1"));
  CHECK_FALSE(fs::exists(folder.best()));  // without an evaluation no checkpoint is the best
  CHECK(open_model(folder.path()).source == folder.last());
}

TEST_CASE("values of dino that do not fit together are refused before training") {
  CHECK_THROWS_WITH_AS(SmallDino({"train.batch_size=500"}), doctest::Contains("more than the 240 training images"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(SmallDino({"schedule.warmup_epochs=3"}), doctest::Contains("leaves nothing"), ConfigError);
  CHECK_THROWS_WITH_AS(SmallDino({"crops.local_size=20"}), doctest::Contains("no multiple of the patches of 8"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(SmallDino({"crops.color_jitter=[0, 0, 0, 0.9]"}), doctest::Contains("hue"), ConfigError);
  CHECK_THROWS_WITH_AS(SmallDino({"data.crop=pad"}), doctest::Contains("unknown key"), ConfigError);
}

TEST_CASE("the schedule of dino has the keys of other methods, and their names of version 0.1.0") {
  DinoConfig old;
  Config config(old);
  config.read_text("recipe: dino\noptim: {warmup_epochs: 3, min_lr: 0.5}\n", "old.yaml", {"optim.warmup_epochs=2"});
  CHECK(old.schedule.warmup_epochs == 2);
  CHECK(old.schedule.min_lr == 0.5);
  CHECK(config.yaml(false).find("schedule:\n  name: cosine\n  warmup_epochs: 2\n  min_lr: 0.5\n") != std::string::npos);
  CHECK_THROWS_WITH_AS(config.read_text("schedule: {warmup_epochs: 1}\noptim: {warmup_epochs: 1}\n", "both.yaml"),
                       doctest::Contains("'optim.warmup_epochs' is 'schedule.warmup_epochs', which both.yaml:1 gives"),
                       ConfigError);
  const SmallDino constant({"schedule.name=constant", "optim.lr=0.1", "optim.lr_per_images=null"});
  CHECK(constant.recipe->plan().lr(3) == doctest::Approx(0.1));
  CHECK(constant.recipe->plan().lr(8) == doctest::Approx(0.1));
}

TEST_CASE("dino trains on with frozen blocks, bit for bit") {
  const test::TemporaryFolder temp;
  const std::vector<std::string> changes = {"model.freeze=[patch_embed, blocks.0]", "eval.linear_epochs=0"};
  check_resumes(RunFolder::create(temp.path() / "whole", "emoji"), temp.path() / "parts", changes);
  const TensorMap before = SmallDino(changes).recipe->state();
  const TensorMap after = sub_map(load_checkpoint(temp.path() / "whole/checkpoints/last.h5").tensors, "recipe");
  const auto moved = [&](const std::string& name) { return test::max_difference(before.at(name), after.at(name)) > 0; };
  CHECK_FALSE(moved("student/backbone.blocks.0.attn.qkv.weight"));
  CHECK(moved("student/backbone.blocks.1.attn.qkv.weight"));
  CHECK(moved("student/head.last_layer.weight_v"));
  for (const auto& [name, tensor] : after) CHECK(name.find("optimizer/backbone.blocks.0") == std::string::npos);
}

TEST_CASE("the preview of dino shows the views of each image") {
  const SmallDino small;
  const Preview shown = small.settings.preview(8);
  CHECK(shown.images.size() == 8);  // two images, four views each
  CHECK(shown.images[0].size() == data::ImageSize{16, 16});
  CHECK(shown.images[3].size() == data::ImageSize{8, 8});
  CHECK(shown.captions[1] == "global 2");
  CHECK(shown.captions[6] == "local 1");
}
