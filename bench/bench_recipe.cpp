// bench_recipe: images per second of a recipe, and of the same steps on batches made beforehand. The difference is the
// cost of reading and augmenting.
#include "tools/command_line.h"
#include "vitrail/core/error.h"
#include "vitrail/recipes/models/open_run.h"
#include "vitrail/recipes/run/exit_code.h"
#include "vitrail/recipes/run/recipe.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace {

using namespace vitrail;

struct Options {
  std::string recipe;
  std::vector<std::string> changes;
  int steps = 40, rounds = 5;
};

/// The first n training batches of a run.
std::vector<data::Batch> first_batches(recipes::Recipe& recipe, int n) {
  std::vector<data::Batch> batches;
  check<ConfigError>(recipe.plan().shards == 1, "bench_recipe", "train.shards is {}; only whole batches are timed",
                     recipe.plan().shards);
  const auto loader = recipe.load({});
  for (int i = 0; i < n; ++i) {
    auto batch = loader->next();
    check<ConfigError>(batch.has_value(), "bench_recipe", "--steps {} is more than the {} steps of an epoch", n, i);
    batches.push_back(*std::move(batch));
  }
  return batches;
}

/// Images per second over n steps.
double images_per_second(recipes::Recipe& recipe, int n, const std::function<data::Batch()>& next) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < n; ++i) recipe.step(next(), {.lr = recipe.plan().lr(0), .weight_decay = 0});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return double(n * recipe.plan().batch_size) / seconds;
}

int bench_recipe(int argc, char** argv) {
  tools::Program program("bench_recipe",
                         "Measures images per second of a recipe, and of its steps alone on batches made beforehand.");
  Options o;
  program.option("recipe", o.recipe, "recipe file").required();
  program.option("changes", o.changes, "key=value, overrides the recipe");
  program.option("--steps", o.steps, "steps per round, on each side").range(1, 100000);
  program.option("--rounds", o.rounds, "rounds, in which both sides run in turn; the fastest of each counts")
      .range(1, 1000);
  program.example("bench_recipe recipes/deit_cifar10.yaml distillation.teacher=runs/resnet8_cifar10");
  if (const auto code = program.parse(argc, argv)) return *code;

  const auto recipe = recipes::read_settings(o.recipe, o.changes)->build();
  const std::vector<data::Batch> made = first_batches(*recipe, o.steps);
  nlohmann::ordered_json out = {
      {"recipe", o.recipe}, {"changes", o.changes}, {"batch_size", recipe->plan().batch_size}, {"steps", o.steps}};
  double fastest = 0, fastest_made = 0;
  for (int round = 0; round < o.rounds; ++round) {
    size_t i = 0;
    const double of_made = images_per_second(*recipe, o.steps, [&] { return made[i++]; });
    // The loader's workers run ahead by a few batches, as in training.
    const auto loader = recipe->load({});
    const double live = images_per_second(*recipe, o.steps, [&] { return *loader->next(); });
    out["rounds"].push_back({{"images_per_s", live}, {"made_beforehand_per_s", of_made}});
    fastest = std::max(fastest, live);
    fastest_made = std::max(fastest_made, of_made);
  }
  out["images_per_s"] = fastest;
  out["made_beforehand_per_s"] = fastest_made;
  out["ratio"] = fastest / fastest_made;
  std::printf("%s\n", out.dump(2).c_str());
  return recipes::kDone;
}

}  // namespace

int main(int argc, char** argv) { return recipes::run_program(bench_recipe, argc, argv); }
