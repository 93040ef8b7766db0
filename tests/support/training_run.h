// Whole training runs, for tests of recipes.
#pragma once

#include "tests/support/text_file.h"
#include "vitrail/recipes/run/loop.h"

#include <nlohmann/json.hpp>
#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <string>

namespace vitrail::test {

struct Outcome {
  int code = -1;
  std::string last;  // bytes of last.h5
  nlohmann::json result;
  std::string log;
};

inline Outcome run(recipes::Recipe& recipe, const recipes::RunFolder& folder, const std::string& config = "") {
  const std::filesystem::path log = folder / "log.txt";
  std::FILE* out = std::fopen(log.c_str(), "w");
  Outcome outcome;
  outcome.code = recipes::run_training(recipe, folder, {.command = "", .config = config, .out = out});
  std::fclose(out);
  outcome.log = read_text(log);
  outcome.last = read_text(folder.last());
  if (std::filesystem::exists(folder / "result.json"))
    outcome.result = nlohmann::json::parse(read_text(folder / "result.json"));
  return outcome;
}

/// Wraps a recipe and asks to stop after `steps` steps.
class StopAfter final : public recipes::Recipe {
 public:
  StopAfter(recipes::Recipe& inner, int64_t steps) : inner_(inner), steps_(steps) {}
  const recipes::Plan& plan() const override { return inner_.plan(); }
  std::vector<recipes::ModelCard> cards() override { return inner_.cards(); }
  std::vector<std::string> begin() override { return inner_.begin(); }
  std::unique_ptr<data::Loader> load(const data::LoaderState& start) override { return inner_.load(start); }
  recipes::Stats step(const data::Batch& batch, const recipes::At& at) override {
    return step_shards(std::span(&batch, 1), at);
  }
  recipes::Stats step_shards(std::span<const data::Batch> shards, const recipes::At& at) override {
    if (at.step + 1 == steps_) raise(SIGINT);
    return inner_.step_shards(shards, at);
  }
  recipes::Evaluation evaluate(const recipes::Tick& tick) override { return inner_.evaluate(tick); }
  TensorMap state() const override { return inner_.state(); }
  void load_state(const TensorMap& state) override { inner_.load_state(state); }
  std::vector<std::string> classes() const override { return inner_.classes(); }
  std::vector<std::string> take_messages() override { return inner_.take_messages(); }

 private:
  recipes::Recipe& inner_;
  int64_t steps_;
};

/// A step on the first batch, in the recipe's shards.
inline recipes::Stats first_step(recipes::Recipe& recipe, recipes::At at = {}) {
  at.shards = shards_of_rank(recipe.plan().shards);
  return recipe.step_shards(recipes::next_step(*recipe.load({}), at.shards), at);
}

}  // namespace vitrail::test
