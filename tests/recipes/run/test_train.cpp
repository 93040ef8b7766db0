#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/data/load/tensor_batch.h"
#include "vitrail/recipes/config/fields.h"
#include "vitrail/recipes/run/checkpoint.h"
#include "vitrail/recipes/run/registry.h"
#include "vitrail/recipes/run/train.h"

#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <map>

using namespace vitrail;
using namespace vitrail::recipes;

namespace {

struct CountConfig final : RecipeConfig {
  int64_t epochs = 3, stop_after = 0;

  void describe(Fields& f) override {
    RecipeConfig::describe(f);
    f("epochs", epochs, "passes over the numbers", at_least(1));
    f("stop_after", stop_after, "steps until Ctrl-C; 0: never", at_least(0));
  }
  std::unique_ptr<Recipe> build() const override;
};

/// Adds up numbers: two steps an epoch.
struct Count final : Recipe {
  explicit Count(const CountConfig& c) : config(c) {
    plan_ = {.name = c.name,
             .epochs = c.epochs,
             .steps_per_epoch = 2,
             .batch_size = 2,
             .lr = [](double) { return 1; },
             .weight_decay = [](double) { return 0; }};
    keep("total", total);
    keep("numbers", numbers);
  }
  const Plan& plan() const override { return plan_; }
  std::unique_ptr<data::Loader> load(const data::LoaderState& start) override {
    const data::TensorBatch rows({{"x", tensor<double>({1, 2, 3, 4}, {4})}});
    const data::LoaderOptions options{.batch_size = 2, .shuffle = true, .epochs = config.epochs, .start = start};
    return std::make_unique<data::Loader>(rows, options);
  }
  Stats step(const data::Batch& batch, const At& at) override {
    if (at.step + 1 == config.stop_after) raise(SIGINT);
    total.data<double>()[0] = 3 * total.item() + batch["x"].to_vector()[0];
    numbers["last"] = total.item();
    say("step done");
    return {{"loss", 0}};
  }

  const CountConfig config;
  Plan plan_;
  Tensor total = zeros({}, DType::f64);
  std::map<std::string, double> numbers;
};

std::unique_ptr<Recipe> CountConfig::build() const { return std::make_unique<Count>(*this); }

void register_count() {
  static const bool once = (register_method("count", [] { return std::make_unique<CountConfig>(); }), true);
  CHECK(once);
}

double total_of(const std::filesystem::path& run) {
  return load_checkpoint(run / "checkpoints/last.h5").tensors.at("recipe/total").item();
}

}  // namespace

TEST_CASE("a method that a program registers is one like the library's") {
  register_count();
  const auto names = methods();
  CHECK(std::count(names.begin(), names.end(), "count") == 1);
  CHECK(method_config("count")->recipe == "count");
  CHECK_THROWS_WITH_AS(register_method("count", {}), doctest::Contains("there is a method 'count' already"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(register_method("dino", {}), doctest::Contains("'dino'"), ConfigError);
  CHECK_THROWS_WITH_AS(method_config("cuont"), doctest::Contains("did you mean 'count'?"), ConfigError);
  // A method need not offer its network to other commands.
  CHECK_THROWS_WITH_AS(method_config("count")->preview(1), doctest::Contains("'count' does not offer a preview"),
                       ConfigError);
  CHECK_THROWS_AS(method_config("count")->sections(), ConfigError);
}

TEST_CASE("run_train: a run of one's own method, printed, trained, stopped and resumed") {
  register_count();
  const test::TemporaryFolder temp;
  const auto yaml = temp.path() / "count.yaml";
  test::write_text(yaml, "recipe: count\n");
  const auto log = temp.path() / "log.txt";
  const auto train = [&](TrainOptions o) {
    o.out = std::fopen(log.c_str(), "w");
    const int code = run_train(o);
    std::fclose(o.out);
    return code;
  };
  CHECK(train({.recipe = yaml, .action = TrainAction::print_keys}) == 0);
  CHECK(test::read_text(log).find("stop_after") != std::string::npos);
  CHECK(train({.recipe = yaml, .changes = {"epochs=5"}, .action = TrainAction::print_config}) == 0);
  CHECK(test::read_text(log).find("epochs: 5") != std::string::npos);
  CHECK(train({.recipe = yaml, .action = TrainAction::dry_run}) == 0);
  CHECK(test::read_text(log).find("2 steps") != std::string::npos);

  const auto whole = temp.path() / "whole", parts = temp.path() / "parts";
  CHECK(train({.recipe = yaml, .changes = {"out=" + whole.string()}, .command = "count whole"}) == 0);
  CHECK(test::read_text(log).find("step done") != std::string::npos);
  CHECK(test::read_text(whole / "environment.json").find("count whole") != std::string::npos);
  CHECK(test::read_text(whole / "recipe.yaml") == "recipe: count\n");
  CHECK(train({.recipe = yaml, .changes = {"out=" + parts.string(), "stop_after=3"}}) == 130);
  CHECK(train({.resume = parts, .changes = {"stop_after=0"}}) == 0);
  CHECK(total_of(parts) == total_of(whole));
  const auto checkpoint = load_checkpoint(parts / "checkpoints/last.h5");
  CHECK(checkpoint.tensors.at("recipe/numbers/last").item() == total_of(whole));
  CHECK_THROWS_AS(train({.recipe = temp.path() / "none.yaml"}), ConfigError);
}
