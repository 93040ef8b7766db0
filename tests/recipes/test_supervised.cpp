#include "core/error.h"
#include "recipes/checkpoint.h"
#include "recipes/config.h"
#include "recipes/loop.h"
#include "recipes/supervised.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <stdlib.h>

using namespace vitrail;
using namespace vitrail::recipes;
namespace fs = std::filesystem;

namespace {

const fs::path kRecipes = fs::path(VITRAIL_SOURCE_DIR) / "recipes";

/// vit_digits.yaml made smaller: 12 steps an epoch.
std::unique_ptr<Recipe> small_digits(const std::vector<std::string>& changes = {}) {
  SupervisedConfig settings;
  Config config(settings);
  config.read(kRecipes / "vit_digits.yaml");
  for (const char* change :
       {"model.embed_dim=32", "model.depth=2", "train.batch_size=119", "train.epochs=2", "schedule.warmup_epochs=0",
        "train.log_every=1", "data.crop=none", "optim.lr=2e-3", "model.drop_rate=0.1", "model.drop_path_rate=0.1"})
    config.set(change);
  for (const std::string& change : changes) config.set(change);
  return settings.build();
}

struct Outcome {
  int code = -1;
  std::string last;
  nlohmann::json result;
};

Outcome run(Recipe& recipe, const RunFolder& folder) {
  std::FILE* log = std::tmpfile();
  Outcome outcome;
  outcome.code = run_training(recipe, folder, {.command = "", .config = "", .out = log});
  std::fclose(log);
  outcome.last = test::read_text(folder.last());
  if (fs::exists(folder / "result.json"))
    outcome.result = nlohmann::json::parse(test::read_text(folder / "result.json"));
  return outcome;
}

/// Asks to stop after that many steps.
class StopAfter final : public Recipe {
 public:
  StopAfter(Recipe& inner, int64_t steps) : inner_(inner), steps_(steps) {}
  const Plan& plan() const override { return inner_.plan(); }
  ModelCard card() override { return inner_.card(); }
  std::unique_ptr<data::Loader> load(const data::LoaderState& start) override { return inner_.load(start); }
  Stats step(const data::Batch& batch, const At& at) override {
    if (at.step + 1 == steps_) raise(SIGINT);
    return inner_.step(batch, at);
  }
  Evaluation evaluate(const Tick& tick) override { return inner_.evaluate(tick); }
  TensorMap state() const override { return inner_.state(); }
  void load_state(const TensorMap& state) override { inner_.load_state(state); }
  const data::BadFiles& bad_files() const override { return inner_.bad_files(); }

 private:
  Recipe& inner_;
  int64_t steps_;
};

}  // namespace

TEST_CASE("supervised learns, and goes on bit for bit from the middle of an epoch") {
  const std::vector<std::string> changes = {"train.ema_decay=0.9", "train.accumulate=7"};  // dropout is on as well
  const test::TemporaryFolder temp;
  const RunFolder whole = RunFolder::create(temp.path() / "whole", "digits");
  const Outcome reference = run(*small_digits(changes), whole);
  CHECK(reference.code == 0);
  CHECK(reference.result["steps"] == 24);
  const double top1 = reference.result["metrics"]["top1"], top5 = reference.result["metrics"]["top5"];
  CHECK(top1 > 0.12);
  CHECK(top5 > top1);
  CHECK(reference.result["metrics"].contains("ema_top1"));

  const RunFolder parts = RunFolder::create(temp.path() / "parts", "digits");
  const auto first = small_digits(changes);
  StopAfter stopped(*first, 17);
  CHECK(run(stopped, parts).code == 130);
  const Outcome resumed = run(*small_digits(changes), parts);
  CHECK(resumed.code == 0);
  CHECK(resumed.last == reference.last);
  CHECK(resumed.result["metrics"] == reference.result["metrics"]);
}

TEST_CASE("a batch in parts has the gradient of the whole") {
  const auto whole = small_digits({"model.drop_rate=0", "model.drop_path_rate=0"});
  const auto parts = small_digits({"model.drop_rate=0", "model.drop_path_rate=0", "train.accumulate=7"});
  const auto batch = whole->load({})->next();
  const Stats a = whole->step(*batch, {.lr = 0, .weight_decay = 0}),
              b = parts->step(*batch, {.lr = 0, .weight_decay = 0});
  CHECK(stat(a, "loss") == doctest::Approx(stat(b, "loss")).epsilon(1e-5));
  CHECK(stat(a, "acc") == stat(b, "acc"));
  CHECK(stat(a, "grad_norm") == doctest::Approx(stat(b, "grad_norm")).epsilon(1e-4));
}

TEST_CASE("a learning rate beyond reason is stopped and named") {
  const test::TemporaryFolder temp;
  const RunFolder folder = RunFolder::create(temp.path() / "run", "digits");
  const auto recipe = small_digits({"optim.lr=1e38", "optim.name=sgd", "optim.clip_grad=0"});
  CHECK_THROWS_AS(run(*recipe, folder), NumericError);
  CHECK_FALSE(fs::exists(folder.last()));
}

TEST_CASE("values that do not fit together are refused before training") {
  CHECK_THROWS_WITH_AS(small_digits({"train.batch_size=2000"}),
                       doctest::Contains("more than the 1437 training pictures"), ConfigError);
  CHECK_THROWS_WITH_AS(small_digits({"train.accumulate=2"}),
                       doctest::Contains("2 does not divide train.batch_size 119"), ConfigError);
  CHECK_THROWS_WITH_AS(small_digits({"model.arch=resnet20"}), doctest::Contains("those are for vision transformers"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(small_digits({"schedule.warmup_epochs=2"}), doctest::Contains("leaves nothing"), ConfigError);
}

TEST_CASE("the card counts parameters and operations") {
  const ModelCard card = small_digits()->card();
  // patch 12 * 32 + 32, positions 16 * 32, two blocks, norm, head
  const int64_t block = 2 * 64 + (32 * 96 + 96) + (32 * 32 + 32) + (32 * 64 + 64) + (64 * 32 + 32);
  CHECK(card.parameters == 416 + 512 + 2 * block + 64 + 330);
  const int64_t tokens = 16, block_macs = tokens * (32 * 96 + 32 * 32 + 2 * 32 * 64) + 2 * tokens * tokens * 32;
  CHECK(card.flops_per_image == 2 * (tokens * 12 * 32 + 2 * block_macs + 320));
  CHECK(card.table.find("blocks.0.attn") != std::string::npos);
}

TEST_CASE("every recipe file is valid") {
  setenv("VITRAIL_DATA", "/nowhere", 0);
  int files = 0;
  for (const auto& entry : fs::directory_iterator(kRecipes)) {
    if (entry.path().extension() != ".yaml") continue;
    CAPTURE(entry.path().string());
    const auto settings = method_config(recipe_name(entry.path()));
    Config config(*settings);
    CHECK_NOTHROW(config.read(entry.path()));
    const std::string text = test::read_text(entry.path());
    for (const char* part : {"# Run:  ", "# Cost: ", "# Result:"}) CHECK(text.find(part) != std::string::npos);
    ++files;
  }
  CHECK(files >= 5);
}

TEST_CASE("every method has the keys that all share") {
  for (const std::string& method : methods()) {
    const auto settings = method_config(method);
    Fields fields;
    settings->describe(fields);
    for (const char* key : {"out", "seed", "precision", "data.root", "train.epochs", "train.batch_size", "optim.lr"}) {
      CAPTURE(key);
      CHECK(fields.find(key) != nullptr);
    }
  }
  CHECK_THROWS_WITH_AS(method_config("supervized"), doctest::Contains("did you mean 'supervised'?"), ConfigError);
}

TEST_CASE("learning rates") {
  OptimConfig optim;
  optim.lr = 1e-3;
  CHECK(optim.peak_lr(64) == 1e-3);
  optim.lr_per_images = 256;
  CHECK(optim.peak_lr(64) == 2.5e-4);

  ScheduleConfig schedule;
  schedule.warmup_epochs = 1;
  for (const char* name : {"cosine", "linear", "step", "constant"}) {
    CAPTURE(name);
    schedule.name = name;
    const auto lr = build_schedule(schedule, 0.1, 5, 10);
    CHECK(lr(0) == doctest::Approx(0.01));
    CHECK(lr(9) == doctest::Approx(0.1));
    CHECK(lr(49) <= 0.1);
  }
  schedule.name = "cosine";
  CHECK(build_schedule(schedule, 0.1, 5, 10)(49) < 0.001);
}
