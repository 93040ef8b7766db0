#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/data/load/image_batch.h"
#include "vitrail/data/sources/array_dataset.h"
#include "vitrail/recipes/run/checkpoint.h"
#include "vitrail/recipes/run/loop.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <signal.h>

#include <cmath>
#include <limits>
#include <regex>
#include <stdexcept>

using namespace vitrail;
using namespace vitrail::recipes;

namespace {

/// Fits one weight to the mean of the data: 3 epochs of 4 steps.
class Follow final : public Recipe {
 public:
  Follow() {
    planned = {.name = "follow",
               .seed = 7,
               .epochs = 3,
               .steps_per_epoch = 4,
               .batch_size = 2,
               .lr = [](double step) { return 1 / (1 + step); },
               .weight_decay = [](double) { return 0; },
               .log_every = 1};
    data::PixelArray array;
    array.images = Tensor::empty({9, 1, 1, 1}, DType::u8);
    for (int64_t i = 0; i < 9; ++i) array.images.data<uint8_t>()[i] = uint8_t(20 * i);
    array.labels.assign(9, 0);
    array.sources = {{"memory", 9}};
    images_ = data::make_array_dataset(std::move(array));
  }

  const Plan& plan() const override { return planned; }
  std::vector<ModelCard> cards() override { return {{.name = {}, .table = "one weight", .parameters = 1, .flops = 2}}; }
  std::unique_ptr<data::Loader> load(const data::LoaderState& start) override {
    const auto transform = [](const data::Image& image, Rng& rng, std::span<float> out) {
      out[0] = float(image.data()[0]) + float(rng.uniform());
    };
    return std::make_unique<data::Loader>(
        data::ImageBatch(*images_, transform, {1}, bad_files_),
        data::LoaderOptions{
            .batch_size = 2, .seed = 7, .shuffle = true, .drop_last = true, .epochs = planned.epochs, .start = start});
  }
  Stats step(const data::Batch& batch, const At& at) override {
    if (at.step == before_step) on_step();
    const auto values = batch["images"].to_vector();
    const double error = weight.item() - (values[0] + values[1]) / 2;
    const double loss = at.step == broken_step ? std::numeric_limits<double>::quiet_NaN() : error * error;
    check_finite("loss", loss, at);
    weight.data<double>()[0] -= at.lr * error;
    return {{"loss", loss}};
  }
  Evaluation evaluate(const Tick& tick) override {
    ++evaluations;
    tick(1, 1);
    const double loss = std::abs(weight.item() - 80);
    return {{{"loss", loss}, {"top1", 1 / (1 + loss)}, {"ema_loss", loss}}, -loss};
  }
  TensorMap state() const override { return {{"weight", weight}}; }
  void load_state(const TensorMap& state) override { weight.copy_(state.at("weight")); }

  Tensor weight = zeros({}, DType::f64);
  int64_t before_step = -1;  // on_step runs before this step
  std::function<void()> on_step;
  int64_t broken_step = -1;
  int evaluations = 0;
  Plan planned;

 private:
  std::unique_ptr<data::Dataset> images_;
  data::BadFiles bad_files_;
};

struct Run {
  explicit Run(const std::filesystem::path& path) : folder(RunFolder::create(path, "follow")), log(std::tmpfile()) {}
  ~Run() { std::fclose(log); }
  int operator()(Recipe& recipe) {
    return run_training(recipe, folder, {.command = command, .config = "recipe: follow\n", .out = log});
  }
  std::string metrics() const {  // without times and memory use
    const std::regex clock(", \"(time|images_per_s|data_wait|memory_mb)\": [^,}]+");
    return std::regex_replace(test::read_text(folder / "metrics.jsonl"), clock, "");
  }
  RunFolder folder;
  std::FILE* log;
  std::string command = "train follow.yaml";
};

}  // namespace

TEST_CASE("a run from beginning to end") {
  const test::TemporaryFolder temp;
  Run run(temp.path() / "run");
  Follow recipe;
  CHECK(run(recipe) == 0);
  CHECK(recipe.evaluations == 3);

  const auto result = nlohmann::ordered_json::parse(test::read_text(run.folder / "result.json"));
  CHECK(result["recipe"] == "follow");
  CHECK(result["epochs"] == 3);
  CHECK(result["steps"] == 12);
  CHECK(result["metrics"]["loss"] == std::abs(recipe.weight.item() - 80));
  CHECK(result["command"] == "train follow.yaml");
  for (const char* key : {"seconds", "peak_rss_mb", "commit"}) CHECK(result.contains(key));

  const std::string metrics = run.metrics();
  CHECK(std::count(metrics.begin(), metrics.end(), '\n') == 12 + 3 + 3);
  CHECK(metrics.starts_with(R"({"t": "train", "step": 1, "epoch": 1, "loss": )"));
  CHECK(metrics.find(R"({"t": "epoch", "step": 4, "epoch": 1, "loss": )") != std::string::npos);
  CHECK(metrics.find(R"({"t": "val", "step": 12, "epoch": 3, "loss": )") != std::string::npos);
  CHECK(std::filesystem::exists(run.folder.best()));
  CHECK(load_checkpoint(run.folder.last()).recipe == "recipe: follow\n");
  CHECK(load_checkpoint(run.folder.last()).tensors.at("recipe/weight").item() == recipe.weight.item());

  SUBCASE("resuming it changes nothing") {
    const std::string last = test::read_text(run.folder.last());
    std::filesystem::remove(run.folder / "result.json");  // as if it had been killed just before writing it
    Follow again;
    CHECK(run(again) == 0);
    CHECK(again.evaluations == 0);
    CHECK(test::read_text(run.folder.last()) == last);
    CHECK(run.metrics() == metrics);
    const auto resumed = nlohmann::ordered_json::parse(test::read_text(run.folder / "result.json"));
    CHECK(resumed["metrics"].dump() == result["metrics"].dump());
  }
}

TEST_CASE("stopped anywhere and resumed, a run ends as if it had not been") {
  const test::TemporaryFolder temp;
  Run whole(temp.path() / "whole");
  Follow reference;
  REQUIRE(whole(reference) == 0);

  for (int64_t step : {0, 1, 3, 4, 6, 11}) {
    CAPTURE(step);
    Run run(temp.path() / std::to_string(step));
    Follow first;
    first.before_step = step;
    first.on_step = [] { raise(SIGTERM); };
    CHECK(run(first) == 143);
    CHECK_FALSE(std::filesystem::exists(run.folder / "result.json"));
    CHECK(load_checkpoint(run.folder.last()).tensors.at("loop/step").span<int64_t>()[0] == step + 1);
    Follow second;
    CHECK(run(second) == 0);
    CHECK(test::read_text(run.folder.last()) == test::read_text(whole.folder.last()));
    CHECK(test::read_text(run.folder.best()) == test::read_text(whole.folder.best()));
    CHECK(run.metrics() == whole.metrics());
  }
}

TEST_CASE("a run that dies goes on from its last checkpoint, and no step is logged twice") {
  const test::TemporaryFolder temp;
  Run whole(temp.path() / "whole"), run(temp.path() / "run");
  Follow reference, first, second;
  REQUIRE(whole(reference) == 0);
  first.before_step = 6;
  first.on_step = [] { throw std::runtime_error("killed"); };
  CHECK_THROWS_AS(run(first), std::runtime_error);
  CHECK(load_checkpoint(run.folder.last()).tensors.at("loop/step").span<int64_t>()[0] == 4);
  CHECK(run(second) == 0);
  CHECK(run.metrics() == whole.metrics());
  CHECK(test::read_text(run.folder.last()) == test::read_text(whole.folder.last()));
}

TEST_CASE("a run does not go on with other steps in an epoch, nor with other batches") {
  const test::TemporaryFolder temp;
  Run run(temp.path() / "run");
  Follow first;
  CHECK(run(first) == 0);
  Follow larger;
  larger.planned.batch_size = 4;
  CHECK_THROWS_WITH_AS(run(larger), doctest::Contains("has 4 steps an epoch with batches of 2"), ConfigError);
}

TEST_CASE("a command line that is no UTF-8 does not cost the result") {
  const test::TemporaryFolder temp;
  Run run(temp.path() / "run");
  run.command = "train caf\xe9.yaml";
  Follow recipe;
  CHECK(run(recipe) == 0);
  const auto result = nlohmann::json::parse(test::read_text(run.folder / "result.json"));
  CHECK(result["command"].get<std::string>().starts_with("train caf"));
}

TEST_CASE("SIGUSR1 saves and goes on") {
  const test::TemporaryFolder temp;
  Run run(temp.path() / "run");
  Follow recipe;
  recipe.before_step = 1;
  recipe.on_step = [&recipe, &run] {
    raise(SIGUSR1);
    recipe.before_step = 2;
    recipe.on_step = [&run] {
      CHECK(load_checkpoint(run.folder.last()).tensors.at("loop/step").span<int64_t>()[0] == 2);
    };
  };
  CHECK(run(recipe) == 0);
}

TEST_CASE("a loss that is not finite ends the run and is never saved") {
  const test::TemporaryFolder temp;
  Run run(temp.path() / "run");
  Follow recipe;
  recipe.broken_step = 6;
  CHECK_THROWS_WITH_AS(run(recipe), doctest::Contains("loss is nan at step 7 (epoch 2"), NumericError);
  CHECK(load_checkpoint(run.folder.last()).tensors.at("loop/step").span<int64_t>()[0] == 4);
}

TEST_CASE("a disk that cannot hold the checkpoints ends a run before its first step") {
  struct Huge final : Recipe {
    explicit Huge(Follow& inner) : follow(inner) {}
    const Plan& plan() const override { return follow.plan(); }
    std::unique_ptr<data::Loader> load(const data::LoaderState& start) override { return follow.load(start); }
    Stats step(const data::Batch&, const At&) override { throw std::logic_error("a step"); }
    int64_t state_bytes() const override { return int64_t(1) << 60; }
    Follow& follow;
  };
  const test::TemporaryFolder temp;
  Run run(temp.path() / "run");
  Follow follow;
  Huge huge(follow);
  CHECK_THROWS_WITH_AS(run(huge), doctest::Contains("choose another disk with out=FOLDER"), DiskFull);
}

TEST_CASE("a loss that grows is noticed once") {
  struct Growing final : Recipe {
    explicit Growing(Follow& inner) : follow(inner) {}
    const Plan& plan() const override { return follow.plan(); }
    std::unique_ptr<data::Loader> load(const data::LoaderState& start) override { return follow.load(start); }
    Stats step(const data::Batch&, const At& at) override { return {{"loss", std::pow(100.0, double(at.step))}}; }
    Follow& follow;
  };
  const test::TemporaryFolder temp;
  Run run(temp.path() / "run");
  Follow follow;
  Growing growing(follow);
  CHECK(run(growing) == 0);
  std::string log(size_t(std::ftell(run.log)), ' ');
  std::rewind(run.log);
  REQUIRE(std::fread(log.data(), 1, log.size(), run.log) == log.size());
  const std::string warning = "the training loss has grown from 1 to 2.525e+05: a lower optim.lr";
  const size_t at = log.find(warning);
  CHECK(at != std::string::npos);
  CHECK(log.find("the training loss has grown", at + 1) == std::string::npos);
}

TEST_CASE("a dry run prints cost and time and leaves no files") {
  Follow recipe;
  const test::TemporaryFolder temp;
  const auto path = temp.path() / "log";
  std::FILE* file = std::fopen(path.c_str(), "w");
  dry_run(recipe, file);
  std::fclose(file);
  const std::string text = test::read_text(path);
  CHECK(text.starts_with("one weight\nparameters      1\n"));
  CHECK(text.find("an epoch        4 steps") != std::string::npos);
}
