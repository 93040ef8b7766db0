// The section `lora` of recipes: what is trained, what a checkpoint holds, and what other commands see.
#include "tests/support/close.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "tests/support/training_run.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/eval/evaluate.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/write_model.h"
#include "vitrail/recipes/run/checkpoint.h"
#include "vitrail/recipes/run/registry.h"
#include "vitrail/recipes/run/train.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <vector>

using namespace vitrail;
using namespace vitrail::recipes;
using test::Outcome;
using test::run;
using test::StopAfter;
namespace fs = std::filesystem;

namespace {

using Changes = std::vector<std::string>;

/// A bundled recipe, changed.
struct LoraRun {
  LoraRun(const std::string& name, const Changes& changes)
      : settings(method_config(method_of(name))), config(*settings) {
    config.read(fs::path(VITRAIL_SOURCE_DIR) / "recipes" / (name + ".yaml"), changes);
    notes = settings->settle(config);
    recipe = settings->build();
  }
  static std::string method_of(const std::string& name) {
    return recipe_name(fs::path(VITRAIL_SOURCE_DIR) / "recipes" / (name + ".yaml"));
  }
  Outcome train(const fs::path& folder) { return run(*recipe, RunFolder::create(folder, "lora"), config.yaml(false)); }

  std::unique_ptr<RecipeConfig> settings;
  Config config;
  Changes notes;
  std::unique_ptr<Recipe> recipe;
};

Changes operator+(Changes a, const Changes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const Changes kDigits = {"model.embed_dim=32", "model.depth=2", "train.batch_size=119",
                         "train.epochs=2",     "optim.lr=2e-3", "schedule.warmup_epochs=0",
                         "train.log_every=1"};

/// The folder of a trained base, for init.
std::string base_run(const fs::path& folder, const std::string& name, const Changes& changes) {
  CHECK(LoraRun(name, changes).train(folder).code == 0);
  return folder.string();
}

/// What init takes of a run.
TensorMap best_state(const fs::path& run_folder) {
  return sub_map(load_checkpoint(run_folder / "checkpoints/best.h5").tensors, "recipe");
}

TensorMap last_state(const fs::path& run_folder) {
  return sub_map(load_checkpoint(run_folder / "checkpoints/last.h5").tensors, "recipe");
}

/// Trains without a stop, and with a stop and a resume, which must end with the same bytes. Returns the first.
Outcome check_lora_resumes(const std::string& name, const Changes& changes, const fs::path& folder, int64_t stop) {
  Outcome whole = LoraRun(name, changes).train(folder / "whole");
  CHECK(whole.code == 0);
  LoraRun first(name, changes), second(name, changes);
  const RunFolder parts = RunFolder::create(folder / "parts", "lora");
  StopAfter stopped(*first.recipe, stop);
  CHECK(run(stopped, parts, first.config.yaml(false)).code == 130);
  const Outcome resumed = run(*second.recipe, parts, second.config.yaml(false));
  CHECK(resumed.code == 0);
  CHECK(resumed.last == whole.last);
  return whole;
}

bool is_lora(const std::string& name) { return name.find(".lora_") != std::string::npos; }

}  // namespace

TEST_CASE("supervised LoRA trains adapters and the classifier alone, with an average, and goes on bit for bit") {
  const test::TemporaryFolder temp;
  const std::string base = base_run(temp.path() / "base", "vit_digits", kDigits);
  const Changes changes = kDigits + Changes{"init='" + base + "'", "lora.rank=4", "lora.dropout=0.1",
                                            "train.ema_decay=0.9", "train.shards=7"};
  const Outcome outcome = check_lora_resumes("vit_digits", changes, temp.path(), 17);
  CHECK(outcome.result["metrics"].contains("ema_top1"));

  const TensorMap before = best_state(base), after = last_state(temp.path() / "whole");
  int64_t adapters = 0;
  for (const auto& [name, tensor] : after) {
    if (!name.starts_with("model/")) continue;
    const std::string shown = name.substr(6);
    CAPTURE(shown);
    const bool trained = is_lora(shown) || shown.starts_with("head.");
    adapters += is_lora(shown);
    if (!is_lora(shown)) CHECK((test::max_difference(tensor, before.at(name)) == 0) == !trained);
    CHECK(after.contains("optimizer/" + shown + "/exp_avg") == trained);
    CHECK(after.contains("optimizer/" + shown + "/step") == trained);
    CHECK(after.contains("ema/" + shown) == trained);
  }
  CHECK(adapters == 2 * 2 * 2);  // a and b of qkv and proj in two blocks
  CHECK(LoraRun("vit_digits", changes).recipe->headline()[1].ends_with(", 1,866 of them trained"));
}

TEST_CASE("a run with LoRA opens merged, and computes what it computed in training") {
  const test::TemporaryFolder temp;
  const std::string base = base_run(temp.path() / "base", "vit_digits", kDigits);
  for (const Changes& more : {Changes{}, Changes{"train.ema_decay=0.9"}, Changes{"lora.use_rslora=true"}}) {
    LoraRun lora("vit_digits", kDigits + Changes{"init='" + base + "'", "lora.rank=4", "optim.lr=5e-3"} + more);
    const fs::path folder = temp.path() / ("run" + std::to_string(more.empty() ? 0 : more[0].size()));
    const Outcome outcome = lora.train(folder);
    CHECK(outcome.code == 0);
    const OpenModel opened = open_model(folder / "checkpoints/last.h5");
    REQUIRE(opened.adapters.has_value());
    CHECK(opened.adapters->base == base);
    const bool averaged = !more.empty() && more[0].starts_with("train.ema");
    CHECK(opened.averaged == averaged);
    for (const nn::Parameter* p : opened.network->parameters()) CHECK_FALSE(is_lora(p->name()));
    data::BadFiles bad(bad_files_policy(opened.eval.data));
    const auto images = open_evaluated(opened.eval.data);
    const Scores scores = evaluate(*opened.backbone, *eval_loader(opened, *images, bad), [](int64_t, int64_t) {});
    const std::string prefix = opened.averaged ? "ema_" : "";
    CHECK(stat(scores.stats(), "loss") ==
          doctest::Approx(double(outcome.result["metrics"][prefix + "loss"])).epsilon(1e-5));

    const fs::path file = temp.path() / "merged.safetensors";
    write_model(to_published(opened), "timm", file);
    const Tensor pixels = Rng(1, "pixels").normal({2, 3, 8, 8}, 0, 1);
    CHECK(test::max_difference(open_model(file).classify(pixels), opened.classify(pixels)) == 0);
  }
}

TEST_CASE("LoRA with a base in bf16, more trained parts, and frozen ones, goes on bit for bit") {
  const test::TemporaryFolder temp;
  const std::string base = base_run(temp.path() / "base", "vit_digits", kDigits);
  const Changes changes =
      kDigits + Changes{"init='" + base + "'",         "lora.rank=2",    "lora.targets=[mlp.fc1, attn.qkv]",
                        "lora.train=[head*, fc_norm]", "lora.base=bf16", "precision=bf16",
                        "model.freeze=[blocks.0]"};
  check_lora_resumes("vit_digits", changes, temp.path(), 5);
  const TensorMap after = last_state(temp.path() / "whole");
  CHECK(after.at("model/blocks.1.mlp.fc2.weight").dtype() == DType::bf16);
  CHECK(after.at("model/blocks.1.mlp.fc1.lora_a").dtype() == DType::f32);
  CHECK(after.contains("optimizer/fc_norm.weight/exp_avg"));
  CHECK(after.contains("optimizer/blocks.1.attn.qkv.lora_b/exp_avg"));
  CHECK_FALSE(after.contains("optimizer/blocks.0.attn.qkv.lora_b/exp_avg"));
  CHECK(open_model(temp.path() / "whole").network->parameter("blocks.1.mlp.fc1.weight").value().dtype() == DType::f32);
}

TEST_CASE("LoRA says what does not fit") {
  const test::TemporaryFolder temp;
  const std::string base = base_run(temp.path() / "base", "vit_digits", kDigits + Changes{"train.epochs=1"});
  const Changes with_base = kDigits + Changes{"init='" + base + "'", "lora.rank=2"};
  const auto says = [&](const Changes& changes, const char* message) {
    CHECK_THROWS_WITH_AS(LoraRun("vit_digits", changes), doctest::Contains(message), ConfigError);
  };
  says(kDigits + Changes{"lora.rank=2"}, "adapters change trained weights, and this run has none: give init=");
  says(with_base + Changes{"lora.targets=[query]"}, "no Linear is called 'query'; the model has blocks.0.attn.qkv");
  says(with_base + Changes{"lora.train=[heads]"}, "[lora.train] 'heads' names no parameter of the model");
  says(with_base + Changes{"lora.base=bf16"}, "bf16 needs precision: bf16");
  CHECK_THROWS_WITH_AS(LoraRun("vit_digits", kDigits + Changes{"init='" + base + "'", "lora.init='" + base + "'"}),
                       doctest::Contains("has no adapter_config.json"), IoError);

  const std::string run_folder = temp.path() / "run";
  TrainOptions options;
  options.recipe = std::string(VITRAIL_SOURCE_DIR) + "/recipes/vit_digits.yaml";
  options.changes = with_base + Changes{"train.epochs=1", "out='" + run_folder + "'"};
  options.out = std::tmpfile();
  CHECK(run_train(options) == 0);
  TrainOptions again{.resume = run_folder, .changes = {"lora.alpha=3"}};
  again.out = options.out;
  CHECK_THROWS_WITH_AS(run_train(again), doctest::Contains("[lora.alpha] was 16 when the run began and cannot change"),
                       ConfigError);
  std::fclose(options.out);
}

TEST_CASE("DINO and DINOv2 adapt a model by LoRA: the frozen weights of student and teacher stay equal to the base") {
  const Changes small = {
      "data.img_size=32",    "crops.local_number=1", "head.hidden_dim=16",   "head.bottleneck_dim=8",
      "train.log_every=1",   "eval.linear_epochs=0", "eval.baselines=false", "schedule.warmup_epochs=0",
      "crops.local_size=16", "head.out_dim=32",      "train.epochs=1"};
  const test::TemporaryFolder temp;
  const std::string base =
      base_run(temp.path() / "base", "dinov2_emoji", small + Changes{"model.embed_dim=24", "model.depth=2"});
  for (const std::string method : {"dino", "dinov2"}) {
    CAPTURE(method);
    const Changes changes =
        small + Changes{"init='" + base + "'", "lora.rank=2",    "lora.dropout=0.1",   "teacher.momentum=0.9",
                        "optim.lr=0.01",       "train.epochs=2", "adapt.head_epochs=1"};
    check_lora_resumes(method + "_emoji", changes, temp.path() / method, 2);
    const TensorMap before = best_state(base), after = last_state(temp.path() / method / "whole");
    for (const auto& [name, tensor] : without_prefix(after, "teacher/backbone.")) {
      const std::string shown = name;
      CAPTURE(shown);
      if (is_lora(shown)) {
        CHECK((test::max_difference(tensor, after.at("student/backbone." + shown)) > 0));
        CHECK(after.contains("optimizer/backbone." + shown + "/exp_avg"));
      } else if (shown != "mask_token") {
        CHECK(test::max_difference(tensor, before.at("teacher/backbone." + shown)) == 0);
        CHECK(test::max_difference(after.at("student/backbone." + shown), tensor) == 0);
        CHECK_FALSE(after.contains("optimizer/backbone." + shown + "/exp_avg"));
      }
    }
    const OpenModel opened = open_model(temp.path() / method / "whole/checkpoints/last.h5");
    CHECK(opened.adapters.has_value());
    for (const nn::Parameter* p : opened.network->parameters()) CHECK_FALSE(is_lora(p->name()));
  }
}

TEST_CASE("CLIP adapts both towers by LoRA, or one if the other is locked") {
  const Changes settings = {
      "train.epochs=1",    "precision=f32",      "vision.depth=2",   "text.depth=2",       "vision.embed_dim=32",
      "text.embed_dim=32", "vision.num_heads=2", "text.num_heads=2", "model.embed_dim=16", "schedule.warmup_epochs=0",
      "train.log_every=1"};
  const test::TemporaryFolder temp;
  const std::string base = base_run(temp.path() / "base", "clip_emoji", settings);
  for (const bool locked : {false, true}) {
    CAPTURE(locked);
    Changes changes = settings + Changes{"init='" + base + "'", "lora.rank=2"};
    if (locked) changes.emplace_back("text.lock=true");
    const fs::path folder = temp.path() / (locked ? "locked" : "both");
    check_lora_resumes("clip_emoji", changes, folder, 3);
    const TensorMap before = best_state(base), after = last_state(folder / "whole");
    for (const auto& [name, tensor] : sub_map(after, "model")) {
      const std::string shown = name;
      CAPTURE(shown);
      const bool trained = is_lora(shown) && !(locked && shown.starts_with("text."));
      CHECK(after.contains("optimizer/" + shown + "/exp_avg") == trained);
      if (!is_lora(shown)) CHECK(test::max_difference(tensor, before.at("model/" + shown)) == 0);
    }
    const OpenModel opened = open_model(folder / "whole/checkpoints/last.h5");
    CHECK(opened.adapters.has_value());
    CHECK(opened.text_features(std::vector<std::string>{"a cat"}).size(1) == 16);
  }
}

TEST_CASE("adapters learn what the base has not seen: a model of digits upside down reads upright ones") {
  const test::TemporaryFolder temp;
  const Changes net = kDigits + Changes{"data.crop=none", "model.drop_path_rate=0", "optim.lr=3e-3"};
  const std::string base =
      base_run(temp.path() / "base", "vit_digits", net + Changes{"data.vflip=1", "train.epochs=30"});
  const auto top1 = [&](const char* name, const Changes& more) {
    const Outcome outcome =
        LoraRun("vit_digits", net + Changes{"init='" + base + "'", "train.epochs=12", "optim.lr=1e-2"} + more)
            .train(temp.path() / name);
    return double(outcome.result["best"]["metrics"]["top1"]);
  };
  const double lora = top1("lora", {"lora.rank=4"}), head = top1("head", {"model.freeze=[\"*\", -head]"});
  CAPTURE(lora);
  CAPTURE(head);
  CHECK(lora > 0.65);         // 70.0%; the base reads 42.5% of them
  CHECK(lora > head + 0.05);  // a classifier on the frozen base: 58.9%
}
