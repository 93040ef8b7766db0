// Epochs of a fixed number of steps (train.steps_per_epoch), and the evaluation before the first step.
#include "tests/support/close.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "tests/support/training_run.h"
#include "vitrail/core/error.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/methods/dino.h"
#include "vitrail/recipes/methods/supervised.h"
#include "vitrail/recipes/run/checkpoint.h"

#include <doctest/doctest.h>

#include <set>

using namespace vitrail;
using namespace vitrail::recipes;
using test::Outcome;
using test::run;
namespace fs = std::filesystem;

namespace {

/// A recipe that comes with Vitrail, smaller: DINO on drawings, three steps a pass over the images.
struct SmallRun {
  explicit SmallRun(const std::vector<std::string>& changes) : config(settings) {
    config.read(fs::path(VITRAIL_SOURCE_DIR) / "recipes/dino_emoji.yaml");
    for (const char* change : {"model.embed_dim=12", "model.depth=1", "model.drop_path_rate=0.2", "data.img_size=16",
                               "crops.local_size=8", "crops.local_number=1", "head.out_dim=16", "head.hidden_dim=8",
                               "head.bottleneck_dim=8", "schedule.warmup_epochs=1", "train.log_every=1", "eval.every=2",
                               "eval.linear_epochs=0", "eval.baselines=false"})
      config.set(change);
    for (const std::string& change : changes) config.set(change);
    recipe = settings.build();
  }

  DinoConfig settings;
  Config config;
  std::unique_ptr<Recipe> recipe;
};

const std::vector<std::string> kShort = {"train.steps_per_epoch=2", "train.epochs=4"};

std::vector<std::string> with(std::vector<std::string> changes, const std::string& more) {
  changes.push_back(more);
  return changes;
}

std::vector<std::vector<int64_t>> indices_from(Recipe& recipe, int64_t step) {
  const auto loader = recipe.load(recipe.plan().data_at(step));
  std::vector<std::vector<int64_t>> all;
  while (const auto batch = loader->next()) all.push_back(batch->indices);
  return all;
}

}  // namespace

TEST_CASE("the place in the data follows from the step alone, whatever the length of an epoch") {
  Plan plan;
  plan.epochs = 4;
  plan.steps_per_epoch = 5;
  plan.batch_size = 10;
  CHECK(plan.data_at(7) == data::LoaderState{1, 20});
  CHECK(plan.passes() == 4);
  plan.steps_per_pass = 3;
  CHECK(plan.data_at(0) == data::LoaderState{0, 0});
  CHECK(plan.data_at(5) == data::LoaderState{1, 20});
  CHECK(plan.data_at(7) == data::LoaderState{2, 10});
  CHECK(plan.passes() == 7);  // 20 steps
  plan.steps_per_pass = 100;
  CHECK(plan.data_at(19) == data::LoaderState{0, 190});
  CHECK(plan.passes() == 1);
}

TEST_CASE("an epoch of a fixed number of steps does not cut the order of the images") {
  SmallRun fixed(kShort), passes({"train.epochs=3"});
  const Plan& plan = fixed.recipe->plan();
  CHECK(plan.steps_per_epoch == 2);
  CHECK(plan.steps_per_pass == 3);
  const auto all = indices_from(*fixed.recipe, 0);
  CHECK(all == indices_from(*passes.recipe, 0));
  REQUIRE(all.size() == 9);  // three passes, for eight steps
  for (int64_t step = 0; step < 8; ++step) {
    CAPTURE(step);
    CHECK(indices_from(*fixed.recipe, step).front() == all[size_t(step)]);
  }
  std::set<int64_t> seen;
  for (size_t i = 0; i < 3; ++i) seen.insert(all[i].begin(), all[i].end());
  CHECK(seen.size() == 240);  // a pass shows each image once
  // Schedules count the steps of these epochs: a warm-up of one of them takes two steps.
  CHECK(plan.lr(1) == doctest::Approx(5e-4 * 80 / 64));
  CHECK(plan.lr(7) < plan.lr(6));
}

TEST_CASE("a run with epochs of a fixed number of steps goes on bit for bit, with any number of loader threads") {
  const test::TemporaryFolder temp;
  const RunFolder whole = RunFolder::create(temp.path() / "whole", "emoji");
  SmallRun reference(kShort);
  const Outcome expected = run(*reference.recipe, whole, reference.config.yaml(false));
  CHECK(expected.code == 0);
  CHECK(expected.result["epochs"] == 4);
  CHECK(expected.result["steps"] == 8);
  CHECK(expected.log.find("4 epochs of 2 steps of 80 images") != std::string::npos);
  const std::string metrics = test::read_text(whole / "metrics.jsonl");
  for (const char* line : {R"({"t": "epoch", "step": 2, "epoch": 1,)", R"({"t": "epoch", "step": 6, "epoch": 3,)",
                           R"({"t": "val", "step": 4, "epoch": 2,)", R"({"t": "val", "step": 8, "epoch": 4,)"})
    CHECK(metrics.find(line) != std::string::npos);
  CHECK(metrics.find(R"({"t": "val", "step": 6,)") == std::string::npos);

  for (const int64_t stop : {3, 4, 5}) {
    CAPTURE(stop);
    SmallRun first(kShort), second(kShort);
    const RunFolder parts = RunFolder::create(temp.path() / std::to_string(stop), "emoji");
    test::StopAfter stopped(*first.recipe, stop);
    CHECK(run(stopped, parts, first.config.yaml(false)).code == 130);
    CHECK(run(*second.recipe, parts, second.config.yaml(false)).last == expected.last);
  }
  const auto trained_with = [&](const std::string& workers) {
    SmallRun other(with(kShort, "data.workers=" + workers));
    const RunFolder folder = RunFolder::create(temp.path() / ("workers" + workers), "emoji");
    return run(*other.recipe, folder, reference.config.yaml(false)).last;
  };
  CHECK(trained_with("1") == expected.last);
  CHECK(trained_with("3") == expected.last);
}

TEST_CASE("a run with a fixed number of steps is not resumed in other data or with another number") {
  const test::TemporaryFolder temp;
  const RunFolder folder = RunFolder::create(temp.path() / "run", "emoji");
  SmallRun first(kShort);
  test::StopAfter stopped(*first.recipe, 3);
  CHECK(run(stopped, folder, first.config.yaml(false)).code == 130);
  SmallRun fewer_images(with(kShort, "data.subset=0.7")), longer(with(kShort, "train.steps_per_epoch=3")),
      without({"train.epochs=4"});
  CHECK_THROWS_WITH_AS(run(*fewer_images.recipe, folder), doctest::Contains("3 steps in a pass over the data"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(run(*longer.recipe, folder), doctest::Contains("2 steps an epoch"), ConfigError);
  CHECK_THROWS_WITH_AS(run(*without.recipe, folder), doctest::Contains("2 steps an epoch"), ConfigError);
}

TEST_CASE("supervised runs have epochs of a fixed number of steps too, longer than a pass") {
  const auto make = [](SupervisedConfig& settings) {
    Config config(settings);
    config.read(fs::path(VITRAIL_SOURCE_DIR) / "recipes/vit_digits.yaml",
                {"model.depth=1", "data.subset=0.2", "train.steps_per_epoch=7", "train.epochs=2",
                 "schedule.warmup_epochs=0", "train.patience=0"});
    return std::pair{settings.build(), config.yaml(false)};
  };
  SupervisedConfig settings[3];
  const auto whole = make(settings[0]), first = make(settings[1]), second = make(settings[2]);
  CHECK(whole.first->plan().steps_per_epoch == 7);
  CHECK(whole.first->plan().steps_per_pass < 7);
  const test::TemporaryFolder temp;
  const Outcome expected = run(*whole.first, RunFolder::create(temp.path() / "whole", "digits"), whole.second);
  CHECK(expected.result["steps"] == 14);
  const RunFolder parts = RunFolder::create(temp.path() / "parts", "digits");
  test::StopAfter stopped(*first.first, 9);
  CHECK(run(stopped, parts, first.second).code == 130);
  CHECK(run(*second.first, parts, second.second).last == expected.last);
}
