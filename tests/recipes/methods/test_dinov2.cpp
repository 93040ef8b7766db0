#include "tests/support/close.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/training_run.h"
#include "vitrail/core/error.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/methods/dinov2.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/run/checkpoint.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace vitrail;
using namespace vitrail::recipes;
using test::Outcome;
using test::run;
namespace fs = std::filesystem;

namespace {

/// dinov2_emoji.yaml made smaller: three steps an epoch.
struct SmallDinov2 {
  explicit SmallDinov2(const std::vector<std::string>& changes = {}) : config(settings) {
    config.read(fs::path(VITRAIL_SOURCE_DIR) / "recipes/dinov2_emoji.yaml");
    for (const char* change : {"model.embed_dim=24", "model.depth=2", "model.drop_path_rate=0.2", "data.img_size=32",
                               "crops.local_size=16", "crops.local_number=2", "head.out_dim=32", "head.hidden_dim=16",
                               "head.bottleneck_dim=8", "teacher.warmup_epochs=2", "schedule.warmup_epochs=1",
                               "train.epochs=3", "train.log_every=1", "eval.every=2", "eval.linear_epochs=3"})
      config.set(change);
    for (const std::string& change : changes) config.set(change);
    recipe = settings.build();
  }

  Dinov2Config settings;
  Config config;
  std::unique_ptr<Recipe> recipe;
};

}  // namespace

TEST_CASE("dinov2 goes on bit for bit from the middle of an epoch, masks included, and opens as a model") {
  for (const char* change : {"precision=bf16", "teacher.centering=centering"}) {
    CAPTURE(change);
    const std::vector<std::string> changes = {change, "ibot.separate_head=true", "ibot.out_dim=48"};
    const test::TemporaryFolder temp;
    const RunFolder whole = RunFolder::create(temp.path() / "whole", "emoji");
    SmallDinov2 reference(changes), first(changes), second(changes);
    const Outcome expected = run(*reference.recipe, whole, reference.config.yaml(false));
    CHECK(expected.code == 0);
    CHECK(expected.result["steps"] == 9);
    const RunFolder parts = RunFolder::create(temp.path() / "parts", "emoji");
    test::StopAfter stopped(*first.recipe, 7);
    CHECK(run(stopped, parts, first.config.yaml(false)).code == 130);
    const Outcome resumed = run(*second.recipe, parts, second.config.yaml(false));
    CHECK(resumed.last == expected.last);
    CHECK(resumed.result["metrics"] == expected.result["metrics"]);
    for (const char* name : {"knn_top1", "knn_top1_untrained", "linear_top1", "feat_rank", "patch_knn", "patch_miou",
                             "patch_knn_untrained", "patch_knn_pixels"})
      CHECK(expected.result["metrics"].contains(name));

    const OpenModel trained = open_model(whole.path());
    CHECK(trained.averaged);
    CHECK(trained.image_features(zeros({1, 3, 32, 32})).shape() == Shape{1, 24});
    CHECK(trained.tokens(zeros({1, 3, 32, 32})).patches.shape()[2] == 24);
  }
}

TEST_CASE("the first losses of dinov2 are those of outputs that know nothing") {
  SmallDinov2 small({"model.drop_path_rate=0", "head.out_dim=1024", "head.bottleneck_dim=1024"});
  const auto loader = small.recipe->load({});
  const Stats stats = small.recipe->step(*loader->next(), {.lr = 0});
  const double nothing = std::log(1024.0);  // of each term, before its share
  CHECK(stat(stats, "dino_global_crops_loss") == doctest::Approx(nothing * 2 / 6).epsilon(0.1));
  CHECK(stat(stats, "dino_local_crops_loss") == doctest::Approx(nothing * 4 / 6).epsilon(0.1));
  CHECK(stat(stats, "ibot_loss") == doctest::Approx(nothing / 2 / 2).epsilon(0.1));  // half the views, half the value
  CHECK(stat(stats, "loss") ==
        doctest::Approx(stat(stats, "dino_global_crops_loss") + stat(stats, "dino_local_crops_loss") +
                        2 * stat(stats, "ibot_loss") + 2 * stat(stats, "koleo_loss")));
}

TEST_CASE("the rate of dinov2 grows with the root of the batch, and the temperature by steps") {
  const SmallDinov2 small({"optim.lr=0.004", "optim.lr_per_images=320", "schedule.warmup_epochs=0"});
  CHECK(small.recipe->plan().lr(0) == doctest::Approx(0.002));  // batch 80
  CHECK(small.recipe->plan().weight_decay(0) == doctest::Approx(0.04));
  CHECK(small.recipe->plan().weight_decay(9) == doctest::Approx(0.2));
}

TEST_CASE("the patch measure needs no labels, but images with transparency") {
  const std::string drawings = (fs::path(VITRAIL_SOURCE_DIR) / "recipes/assets/emoji_cutouts").string();
  const test::TemporaryFolder temp;
  const RunFolder folder = RunFolder::create(temp.path() / "run", "cutouts");
  SmallDinov2 small({"data.root=" + drawings, "data.val_split=none", "data.background=white", "train.epochs=1",
                     "schedule.warmup_epochs=0", "teacher.warmup_epochs=0", "eval.every=1"});
  const Outcome outcome = run(*small.recipe, folder, small.config.yaml(false));
  CHECK(outcome.code == 0);
  CHECK(outcome.result["metrics"]["patch_knn"] > 0.5);
  CHECK(outcome.result["metrics"]["patch_miou"] > 0.3);
  CHECK_FALSE(outcome.result["metrics"].contains("knn_top1"));
  const std::string opaque = (fs::path(VITRAIL_SOURCE_DIR) / "recipes/assets/emoji").string();
  CHECK_THROWS_WITH_AS(SmallDinov2({"eval.patch=" + opaque}), doctest::Contains("has transparent pixels"), DataError);
}

TEST_CASE("values of dinov2 that do not fit together are refused before training") {
  CHECK_THROWS_WITH_AS(SmallDinov2({"model.mask_token=false"}), doctest::Contains("needs it for its masked patches"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(SmallDinov2({"crops.local_size=20"}), doctest::Contains("no multiple of the patches of 8"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(SmallDinov2({"koleo.group=7"}), doctest::Contains("does not divide train.batch_size 80"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(SmallDinov2({"masks.ratio=[0.5, 0.1]"}), doctest::Contains("must rise"), ConfigError);
  CHECK_THROWS_WITH_AS(
      SmallDinov2({"model.arch=resnet8", "model.patch_size=~", "model.embed_dim=~", "model.depth=~",
                   "model.num_heads=~", "model.mlp_ratio=~", "model.drop_path_rate=0", "model.drop_path_uniform=false",
                   "model.layerscale_init=0", "model.num_registers=0", "model.mask_token=false"}),
      doctest::Contains("a vision transformer"), ConfigError);
}
