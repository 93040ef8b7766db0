// Adapting a trained backbone: init of DINO and DINOv2.
#include "tests/support/close.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "tests/support/training_run.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/write_model.h"
#include "vitrail/recipes/run/checkpoint.h"
#include "vitrail/recipes/run/registry.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>
#include <vector>

using namespace vitrail;
using namespace vitrail::recipes;
using test::Outcome;
using test::run;
namespace fs = std::filesystem;

namespace {

/// dino_emoji.yaml or dinov2_emoji.yaml made smaller: three steps an epoch.
struct Small {
  Small(const std::string& method, const std::vector<std::string>& more)
      : settings(method_config(method)), config(*settings) {
    std::vector<std::string> changes = {"data.img_size=32",      "crops.local_number=1",    "head.hidden_dim=16",
                                        "head.bottleneck_dim=8", "train.log_every=1",       "eval.linear_epochs=0",
                                        "eval.baselines=false",  "schedule.warmup_epochs=0"};
    changes.insert(changes.end(), more.begin(), more.end());
    config.read(fs::path(VITRAIL_SOURCE_DIR) / "recipes" / (method + "_emoji.yaml"), changes);
    notes = settings->settle(config);
    recipe = settings->build();
  }
  std::string value(const char* key) const { return to_yaml(*config.find(key)); }

  std::unique_ptr<RecipeConfig> settings;
  Config config;
  std::vector<std::string> notes;
  std::unique_ptr<Recipe> recipe;
};

const std::vector<std::string> kModel = {"model.embed_dim=24", "model.depth=2", "head.out_dim=32",
                                         "crops.local_size=16", "train.epochs=1"};

/// A run of one epoch, the start of the others.
std::string trained(const fs::path& folder, const std::string& method,
                    const std::vector<std::string>& changes = kModel) {
  Small small(method, changes);
  const RunFolder run_folder = RunFolder::create(folder, "start");
  CHECK(run(*small.recipe, run_folder, small.config.yaml(false)).code == 0);
  return folder.string();
}

TensorMap recipe_state(const fs::path& checkpoint) { return sub_map(load_checkpoint(checkpoint).tensors, "recipe"); }

/// The largest change of the tensors whose names begin so.
double change(const TensorMap& before, const TensorMap& after, const std::string& prefix) {
  double largest = 0;
  int64_t count = 0;
  for (const auto& [name, tensor] : before)
    if (name.starts_with(prefix)) {
      largest = std::max(largest, test::max_difference(tensor, after.at(name)));
      ++count;
    }
  CHECK(count > 0);
  return largest;
}

}  // namespace

TEST_CASE("init gives the defaults of an adaptation, and the command line goes before") {
  const test::TemporaryFolder temp;
  const std::string start = trained(temp.path() / "start", "dinov2"), init = "init='" + start + "'";
  const Small adapted("dinov2", {init, "train.epochs=30"});
  CHECK(adapted.value("model.embed_dim") == "24");  // of the run, not of the recipe
  CHECK(adapted.value("model.depth") == "2");
  CHECK(adapted.value("head.out_dim") == "32");
  CHECK(adapted.value("optim.lr") == "0.0002");
  CHECK(adapted.value("optim.layer_decay") == "0.8");
  CHECK(adapted.value("teacher.momentum") == "0.9995");
  CHECK(adapted.value("adapt.head_epochs") == "0");  // the heads come along
  CHECK(adapted.config.yaml().find("start from " + start) != std::string::npos);
  CHECK(adapted.notes.back().find("optim.lr 0.0002, optim.layer_decay 0.8, teacher.momentum 0.9995") !=
        std::string::npos);

  const Small chosen("dinov2", {init, "train.epochs=30", "optim.lr=0.001", "teacher.momentum=0.99",
                                "optim.layer_decay=1", "adapt.head_epochs=5"});
  CHECK(chosen.value("optim.lr") == "0.001");
  CHECK(chosen.value("optim.layer_decay") == "1");
  CHECK(chosen.value("teacher.momentum") == "0.99");
  CHECK(chosen.value("adapt.head_epochs") == "5");

  // The heads of another method do not fit, so they are trained first. Local views have whole patches.
  const Small other("dino", {init, "train.epochs=30", "model.mask_token=true"});
  CHECK(other.value("adapt.head_epochs") == "3");
  CHECK(other.value("crops.local_size") == "24");
  CHECK(Small("dino", {"train.epochs=30"}).value("optim.lr") == "0.0005");
  CHECK_THROWS_WITH_AS(Small("dino", {init, "train.epochs=2", "adapt.head_epochs=3"}),
                       doctest::Contains("3 is more than train.epochs 2"), ConfigError);
  CHECK_THROWS_WITH_AS(Small("dinov2", {"model=from_init"}), doctest::Contains("give init=RUN or FILE"), ConfigError);
}

TEST_CASE("what a recipe says beside its own init stays") {
  const test::TemporaryFolder temp;
  const std::string start = trained(temp.path() / "start", "dinov2");
  const auto settings = method_config("dinov2");
  Config config(*settings);
  config.read_text("recipe: dinov2\ninit: " + start + "\noptim: {lr: 0.5}\ntrain: {epochs: 20}\n", "phase.yaml");
  settings->settle(config);
  CHECK(to_yaml(*config.find("optim.lr")) == "0.5");
  CHECK(to_yaml(*config.find("model.depth")) == "2");
  CHECK(to_yaml(*config.find("head.out_dim")) == "32");
  CHECK(to_yaml(*config.find("teacher.momentum")) == "0.9995");
}

TEST_CASE("an adaptation trains heads alone first, keeps the original as best, and goes on bit for bit") {
  const test::TemporaryFolder temp;
  const std::string from_dino = trained(temp.path() / "dino", "dino"),
                    from_dinov2 = trained(temp.path() / "dinov2", "dinov2");
  const fs::path published = temp.path() / "published";
  write_model(to_published(open_model(from_dinov2)), "hf", published);
  const std::vector<std::pair<std::string, std::string>> starts = {
      {"dino", from_dinov2}, {"dinov2", from_dino}, {"dinov2", published.string()}};
  for (const auto& start : starts) {
    const std::string &method = start.first, &init = start.second;
    CAPTURE(method);
    CAPTURE(init);
    const std::vector<std::string> changes = {"init='" + init + "'", "train.epochs=3",      "adapt.head_epochs=1",
                                              "optim.lr=0.01",       "head.out_dim=32",     "data.img_size=40",
                                              "crops.local_size=16", "teacher.momentum=0.9"};
    const auto make = [&] { return std::make_unique<Small>(method, changes); };
    const auto whole = make(), first = make(), second = make();
    const RunFolder folder = RunFolder::create(temp.path() / "whole", "emoji");
    const Outcome expected = run(*whole->recipe, folder, whole->config.yaml(false));
    CHECK(expected.code == 0);
    CHECK(expected.log.find("pos_embed is resampled from 4x4 to 5x5 patches") != std::string::npos);
    CHECK(expected.log.find("the heads start anew") != std::string::npos);
    CHECK(expected.log.find("before the first step  val knn_top1") != std::string::npos);
    const auto& metrics = expected.result["metrics"];
    for (const char* name : {"knn_top1_start", "feat_rank_start"}) CHECK(metrics.contains(name));
    CHECK(expected.result["below_start"].is_array());
    CHECK(fs::exists(folder.best()));
    CHECK(test::read_text(folder / "metrics.jsonl").starts_with(R"({"t": "val", "step": 0, "epoch": 0,)"));

    // Stopped in the epoch of the heads, in the middle of the next one, and resumed.
    const RunFolder parts = RunFolder::create(temp.path() / "parts", "emoji");
    test::StopAfter at_2(*first->recipe, 2);
    CHECK(run(at_2, parts, first->config.yaml(false)).code == 130);
    const TensorMap early = recipe_state(parts.last());
    test::StopAfter at_5(*second->recipe, 5);
    CHECK(run(at_5, parts, second->config.yaml(false)).code == 130);
    const TensorMap later = recipe_state(parts.last());
    const auto third = make();
    const Outcome resumed = run(*third->recipe, parts, third->config.yaml(false));
    CHECK(resumed.last == expected.last);
    CHECK(resumed.result["metrics"] == expected.result["metrics"]);

    const auto fresh = make();
    fresh->recipe->begin();
    TensorMap before;
    for (const auto& [name, tensor] : fresh->recipe->state()) before[name] = tensor.clone();
    for (const char* network : {"student/backbone.", "teacher/backbone."}) {
      CHECK(change(before, early, network) == 0);
      CHECK(change(before, later, network) > 0);
    }
    CHECK(change(before, early, method == "dino" ? "student/head." : "student/dino_head.") > 0);
    for (const auto& path : {folder.path(), parts.path()}) fs::remove_all(path);
  }
}

TEST_CASE("a run of the same method brings its heads and its centre") {
  const test::TemporaryFolder temp;
  for (const std::string method : {"dino", "dinov2"}) {
    CAPTURE(method);
    const fs::path start = temp.path() / method;
    trained(start, method);
    const Small next(method, {"init='" + start.string() + "'", "train.epochs=2"});
    const auto notes = next.recipe->begin();
    CHECK(notes.back().find("heads and centres of the run come along") != std::string::npos);
    const TensorMap theirs = recipe_state(start / "checkpoints/best.h5"), ours = next.recipe->state();
    CHECK(change(theirs, ours, "teacher/") == 0);
    TensorMap student;
    add_map(student, "student", sub_map(theirs, "teacher"));
    CHECK(change(student, ours, "student/") == 0);
    CHECK(test::max_difference(ours.at("center"), theirs.at("center")) == 0);
    CHECK((core::norm(ours.at("center")) > 0) == (method == "dino"));  // Sinkhorn-Knopp has no centre
  }
}

TEST_CASE("a run that loses what it began with says so, and best.h5 is the original") {
  const test::TemporaryFolder temp;
  const std::string start = trained(temp.path() / "start", "dino");
  const Small adapted("dino", {"init='" + start + "'", "train.epochs=2", "optim.lr=2", "teacher.momentum=0",
                               "optim.clip_grad=0", "train.freeze_last_layer=0"});
  const RunFolder folder = RunFolder::create(temp.path() / "run", "emoji");
  const Outcome outcome = run(*adapted.recipe, folder, adapted.config.yaml(false));
  const auto& metrics = outcome.result["metrics"];
  const bool fallen = metrics["feat_rank"] < metrics["feat_rank_start"];
  CHECK(fallen);
  CHECK(outcome.log.find("from before the first step; a lower optim.lr changes less") != std::string::npos);
  const auto below = outcome.result["below_start"].get<std::vector<std::string>>();
  CHECK(std::find(below.begin(), below.end(), "feat_rank") != below.end());
  if (outcome.result["best"]["epoch"] == 0) {
    CHECK(outcome.log.find("before the first step: ") != std::string::npos);
    CHECK(change(recipe_state(fs::path(start) / "checkpoints/best.h5"), recipe_state(folder.best()), "teacher/") == 0);
  }
}

TEST_CASE("the recipe of the high-resolution phase goes on from a finished run") {
  const test::TemporaryFolder temp;
  const std::string start = trained(temp.path() / "start", "dinov2");
  const auto settings = method_config("dinov2");
  Config config(*settings);
  const std::string emoji = VITRAIL_SOURCE_DIR "/recipes/assets/emoji";
  config.read(fs::path(VITRAIL_SOURCE_DIR) / "recipes/dinov2_highres.yaml",
              {"init='" + start + "'", "data.root='" + emoji + "'", "data.img_size=48", "data.eval_crop=1",
               "crops.local_number=1", "train.batch_size=20", "train.epochs=2", "train.steps_per_epoch=2",
               "schedule.warmup_epochs=0", "eval.baselines=false", "data.workers=1"});
  settings->settle(config);
  const auto value = [&](const char* key) { return to_yaml(*config.find(key)); };
  CHECK(value("optim.lr") == "2e-05");
  CHECK(value("teacher.momentum") == "0.994");
  CHECK(value("adapt.head_epochs") == "0");
  CHECK(value("head.out_dim") == "32");
  CHECK(value("model.embed_dim") == "24");
  CHECK(value("model.drop_path_rate") == "0.4");
  CHECK(value("crops.local_size") == "96");  // whole patches of 8
  const auto recipe = settings->build();
  const Outcome outcome = run(*recipe, RunFolder::create(temp.path() / "phase", "highres"), config.yaml(false));
  CHECK(outcome.code == 0);
  CHECK(outcome.result["steps"] == 4);
  CHECK(outcome.log.find("pos_embed is resampled from 4x4 to 6x6 patches") != std::string::npos);
  CHECK(outcome.log.find("heads and centres of the run come along") != std::string::npos);
  CHECK(open_model(temp.path() / "phase").preprocessing.img_size() == 48);
}
