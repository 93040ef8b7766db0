// train, as it is used on a folder of images: how it starts, what it says, how it ends and how it resumes.
#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/recipes/run/checkpoint.h"
#include "vitrail/recipes/run/run_folder.h"
#include "vitrail/recipes/run/train.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <map>
#include <sstream>
#include <string>
#include <vector>

using namespace vitrail;
using namespace vitrail::recipes;
namespace fs = std::filesystem;

namespace {

constexpr const char* kRecipe = R"(
recipe: supervised
model: {arch: vit_tiny, patch_size: 4, embed_dim: 32, depth: 1, num_heads: 2, global_pool: token}
data: {root: x, img_size: 16, crop: none, hflip: 0, workers: 1}
optim: {lr: 3.0e-3}
schedule: {warmup_epochs: 0}
train: {epochs: 1, batch_size: 4}
)";

/// train and val of the classes a, b, c: 8 and 4 plain squares of red, green and blue.
void write_squares(const fs::path& root) {
  for (int c = 0; c < 3; ++c) {
    for (int i = 0; i < 12; ++i) {
      data::Image image(16, 16);
      for (size_t k = 0; k < image.pixels().size(); ++k)
        image.data()[k] = k % 3 == size_t(c) ? uint8_t(160 + 8 * i) : 20;
      const fs::path folder = root / (i < 8 ? "train" : "val") / std::string(1, char('a' + c));
      fs::create_directories(folder);
      data::write_png(folder / (std::to_string(i) + ".png"), image);
    }
  }
}

struct Squares {
  Squares() {
    write_squares(root);
    test::write_text(yaml, kRecipe);
  }
  /// Trains and returns what it said; the exit code is in `code`.
  std::string operator()(TrainOptions o) {
    const fs::path log = temp.path() / "log.txt";
    o.out = std::fopen(log.c_str(), "w");
    try {
      code = run_train(o);
    } catch (...) {
      std::fclose(o.out);
      throw;
    }
    std::fclose(o.out);
    return test::read_text(log);
  }
  std::string train(std::vector<std::string> changes, TrainAction action = TrainAction::train) {
    changes.insert(changes.begin(), {"data.root=" + root.string(), "out=" + run.string()});
    return (*this)({.recipe = yaml, .changes = std::move(changes), .action = action, .command = "train squares"});
  }
  std::string resume(std::vector<std::string> changes) {
    return (*this)({.resume = run, .changes = std::move(changes)});
  }

  test::TemporaryFolder temp;
  fs::path root = temp.path() / "abc", yaml = temp.path() / "tiny.yaml", run = temp.path() / "run";
  int code = -1;
};

/// Every file of a folder with its bytes.
std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files[entry.path().string()] = test::read_text(entry.path());
  return files;
}

void check_contains(const std::string& text, const std::string& part) {
  CAPTURE(text);
  CAPTURE(part);
  CHECK(text.find(part) != std::string::npos);
}

nlohmann::json result_of(const fs::path& run) { return nlohmann::json::parse(test::read_text(run / "result.json")); }

}  // namespace

TEST_CASE("train says what it reads, how it goes, what it reached and what comes next") {
  Squares squares;
  const std::string said = squares.train({"train.epochs=3", "train.eval_every=2", "train.log_every=1"});
  CHECK(squares.code == 0);
  check_contains(said, "24 training images of 3 classes, 12 validation images, from " + squares.root.string());
  check_contains(said, "vit_tiny: ");
  check_contains(said, " parameters\n");
  check_contains(said, "3 epochs of 6 steps of 4 images on ");
  check_contains(said, "; writing to " + squares.run.string());
  check_contains(said, "\nepoch 1/3  train loss ");  // no evaluation
  check_contains(said, "  val loss ");
  const auto result = result_of(squares.run);
  const double best = result["best"]["metrics"]["top1"];
  const int64_t epoch = result["best"]["epoch"];
  CHECK((epoch == 2 || epoch == 3));
  CHECK(best >= result["metrics"]["top1"].get<double>());
  CHECK(result["best"]["checkpoint"] == "checkpoints/best.h5");
  check_contains(said, "; best top1 ");
  check_contains(said, "% in epoch " + std::to_string(epoch) + ": " + (squares.run / "checkpoints/best.h5").string());
  check_contains(said, "next: vitrail eval " + squares.run.string());
  check_contains(said, "next: vitrail predict " + squares.run.string() + " photo.jpg");

  // The mean loss of each epoch is that of its steps.
  std::map<int, double> sums, means;
  std::istringstream lines(test::read_text(squares.run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto row = nlohmann::json::parse(line);
    if (row["t"] == "train") sums[row["epoch"]] += row["loss"].get<double>();
    if (row["t"] == "epoch") means[row["epoch"]] = row["loss"];
  }
  REQUIRE(means.size() == 3);
  for (const auto& [n, mean] : means) CHECK(mean == doctest::Approx(sums[n] / 6));

  fs::remove_all(squares.run);
  const std::string dry = squares.train({}, TrainAction::dry_run);
  check_contains(dry, "24 training images of 3 classes, 12 validation images");
  CHECK_FALSE(fs::exists(squares.run));
}

TEST_CASE("a resumed run says what changes, and a finished one changes nothing") {
  Squares squares;
  squares.train({"train.epochs=4"});
  const std::string longer = squares.resume({"train.epochs=8", "seed=3"});
  check_contains(longer, "resuming with train.epochs: 8, which was 4");
  check_contains(longer, "resuming with seed: 3, which was 0; the random numbers");
  check_contains(longer, "resuming after step 24 of 48");
  check_contains(longer, "the learning rate jumps from 1.28e-05 to 0.0015");
  check_contains(longer, "schedule.name=constant with optim.lr=1.28e-05");
  check_contains(longer, "schedule.min_lr");
  CHECK(result_of(squares.run)["epochs"] == 8);

  const auto before = contents(squares.run);
  CHECK_THROWS_WITH_AS(squares.resume({"train.epochs=2"}),
                       doctest::Contains("[train.epochs] 2 is fewer than the run has done: 48 steps, in epochs of 6; "
                                         "train.epochs=8 or more goes on"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(squares({.resume = squares.root}), doctest::Contains("is not the folder of a run"), ConfigError);
  CHECK_THROWS_WITH_AS(squares.resume({"train.batch_size=8"}), doctest::Contains("with batches of 4"), ConfigError);
  CHECK_THROWS_WITH_AS(squares.resume({"out=elsewhere", "train.epochs=9"}),
                       doctest::Contains("a run resumes in its own folder"), ConfigError);
  CHECK_THROWS_WITH_AS(squares.resume({"model.freeze=[patch_embed]"}), doctest::Contains("begin a new run with init="),
                       ConfigError);
  const std::string again = squares.resume({});
  CHECK(squares.code == 0);
  check_contains(again, "finished at epoch 8; train.epochs=12 goes on");
  CHECK(contents(squares.run) == before);

  // The same schedule needs no words.
  const std::string shorter = squares.resume({"train.epochs=9", "schedule.name=constant", "optim.lr=1e-5"});
  check_contains(shorter, "jumps from");
  const std::string same = squares.resume({"train.epochs=10"});
  CHECK(same.find("jumps") == std::string::npos);
  // Half of the peak at step 1 of 2, and at step 2 of 4: the schedule has changed, and the rate goes on.
  Squares level;
  level.train({"train.epochs=2", "train.batch_size=24"});
  CHECK(level.resume({"train.epochs=4"}).find("jumps") == std::string::npos);
}

TEST_CASE("a run that fails at its start leaves no folder, and a dry run finds the fault too") {
  Squares squares;
  for (const TrainAction action : {TrainAction::train, TrainAction::dry_run}) {
    CHECK_THROWS_AS(squares.train({"init=nofile.safetensors"}, action), Error);
    CHECK_THROWS_AS(squares.train({"data.train_split=nothing"}, action), Error);
    CHECK_FALSE(fs::exists(squares.run));
  }
  // A failure in the first step: the loss is not finite.
  CHECK_THROWS_AS(squares.train({"optim.lr=1e38", "optim.name=sgd"}), NumericError);
  CHECK_FALSE(fs::exists(squares.run));
  squares.train({});
  CHECK(squares.code == 0);
}

TEST_CASE("a short run has a short warm-up, unless a longer one was asked for") {
  Squares squares;
  std::string recipe = kRecipe;
  recipe.replace(recipe.find("warmup_epochs: 0"), 16, "warmup_epochs: 4");
  test::write_text(squares.yaml, recipe);
  const std::string said = squares.train({"train.epochs=2"});
  CHECK(squares.code == 0);
  check_contains(said, "schedule.warmup_epochs is 0.2 in place of 4: a tenth of train.epochs 2");
  check_contains(test::read_text(squares.run / "resolved.yaml"), "warmup_epochs: 0.2 ");
  fs::remove_all(squares.run);
  CHECK_THROWS_WITH_AS(squares.train({"train.epochs=2", "schedule.warmup_epochs=2"}),
                       doctest::Contains("usual: schedule.warmup_epochs=0.2"), ConfigError);
  CHECK_THROWS_WITH_AS(
      squares.train({"train.batch_size=64"}),
      doctest::Contains("64 is more than the 24 training images of an epoch; write train.batch_size=16"), ConfigError);
}

TEST_CASE("a run finds its data from any folder, and says where the data was if it is gone") {
  Squares squares;
  const fs::path before = fs::current_path();
  fs::current_path(squares.temp.path());
  squares.root = "abc";
  squares.run = "run";
  squares.train({});
  fs::current_path(before);
  squares.run = squares.temp.path() / "run";
  const std::string root = (squares.temp.path() / "abc").string();
  check_contains(test::read_text(squares.run / "resolved.yaml"), "root: " + root);
  check_contains(load_checkpoint(squares.run / "checkpoints/last.h5").recipe, "root: " + root);
  squares.resume({"train.epochs=2"});
  CHECK(squares.code == 0);

  fs::rename(root, root + "-moved");
  CHECK_THROWS_WITH_AS(
      squares.resume({"train.epochs=3"}),
      doctest::Contains((root + " does not exist; data.root=FOLDER says where the data is now").c_str()), DataError);
  squares.resume({"train.epochs=3", "data.root=" + root + "-moved"});
  CHECK(squares.code == 0);
}

TEST_CASE("patience ends a run whose score does not get better, and resuming leaves it ended") {
  Squares squares;
  // Nothing is learned, so the first evaluation stays the best one.
  const std::vector<std::string> changes = {"train.epochs=9", "train.patience=2", "model.freeze=[\"*\", -head.bias]",
                                            "optim.lr=1e-12"};
  const std::string said = squares.train(changes);
  check_contains(said, "done: 3 epochs in ");
  check_contains(said, "as the last 2 brought no better top1; best top1 ");
  CHECK(result_of(squares.run)["epochs"] == 3);
  CHECK(result_of(squares.run)["best"]["epoch"] == 1);
  const auto ended = contents(squares.run);
  check_contains(squares.resume({}), "finished at epoch 3: no better top1 in 2 epochs; train.patience=4 goes on");
  CHECK(contents(squares.run) == ended);
  check_contains(squares.resume({"train.patience=4"}), "done: 5 epochs");

  const fs::path parts = squares.run, whole = squares.temp.path() / "whole";
  squares.run = whole;
  std::vector<std::string> at_once = changes;
  at_once.push_back("train.patience=4");
  squares.train(at_once);
  CHECK(load_checkpoint(whole / "checkpoints/last.h5").tensors.size() ==
        load_checkpoint(parts / "checkpoints/last.h5").tensors.size());
  CHECK(test::read_text(whole / "checkpoints/last.h5") == test::read_text(parts / "checkpoints/last.h5"));
}
