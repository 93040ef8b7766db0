#include "tests/support/small_llava.h"
#include "tests/support/training_run.h"
#include "vitrail/core/error.h"
#include "vitrail/recipes/methods/llava_start.h"
#include "vitrail/recipes/models/open_model.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using namespace vitrail;
using namespace vitrail::recipes;
using test::first_stage;
using test::Outcome;
using test::run;
using test::SmallLlava;
using test::SquareQuestions;

namespace {

Outcome train_in(SmallLlava& llava, const RunFolder& folder) {
  return run(*llava.recipe, folder, llava.config.yaml(false));
}

TensorMap llava_weights(const Recipe& recipe) { return sub_map(recipe.state(), "model"); }

}  // namespace

TEST_CASE("llava goes on bit for bit from the middle of an epoch, in both stages and without a tower") {
  const SquareQuestions data;
  struct Row {
    std::string name;
    std::vector<std::string> changes;
    int64_t steps;
    std::vector<std::string> metrics;
  };
  const Row rows[] = {{"pretrain", first_stage(data), 6, {"loss", "perplexity", "ranked_first"}},
                      {"instruct",
                       {"data.group=length", "precision=bf16", "train.parts=[]", "optim.projector_lr=1e-2"},
                       12,
                       {"loss", "accuracy", "accuracy_blank", "accuracy_colour", "accuracy_blank_yes_or_no"}},
                      {"parts", {"train.shards=2"}, 12, {"accuracy"}},
                      {"fusion",
                       {"tower.kind=patches", "tower.pixel_shuffle=1", "tower.prefix=true", "data.group=length"},
                       12,
                       {"accuracy"}}};
  for (const Row& row : rows) {
    CAPTURE(row.name);
    SmallLlava reference(data, row.changes);
    const Outcome expected = train_in(reference, RunFolder::create(data.path() / (row.name + "-whole"), "squares"));
    CHECK(expected.code == 0);
    CHECK(expected.result["steps"] == row.steps);
    for (const std::string& metric : row.metrics) CHECK_MESSAGE(expected.result["metrics"].contains(metric), metric);

    const RunFolder folder = RunFolder::create(data.path() / (row.name + "-parts"), "squares");
    SmallLlava first(data, row.changes), second(data, row.changes);
    test::StopAfter stopped(*first.recipe, row.steps / 2 + 2);
    CHECK(run(stopped, folder, first.config.yaml(false)).code == 130);
    const Outcome resumed = train_in(second, folder);
    CHECK(resumed.last == expected.last);
    CHECK(resumed.result["metrics"] == expected.result["metrics"]);
  }
}

TEST_CASE("llava learns to name colours that it sees, and not from blank images") {
  const SquareQuestions data;
  SmallLlava llava(data, {"train.epochs=60", "eval.every=60"});
  const Outcome outcome = train_in(llava, RunFolder::create(data.path() / "run", "squares"));
  const auto& metrics = outcome.result["metrics"];
  CAPTURE(metrics.dump());
  CHECK(metrics["accuracy"] > 0.9);
  CHECK(metrics["accuracy_colour"] > 0.8);
  CHECK(metrics["accuracy_blank"] < 0.65);

  // The tower alone serves as a backbone.
  const OpenModel opened = open_model(data.path() / "run");
  CHECK(opened.image_features(zeros({2, 3, 16, 16})).shape() == Shape{2, 24});
}

TEST_CASE("llava: shards have the loss of the whole batch") {
  const SquareQuestions data;
  std::vector<double> losses;
  for (const char* const parts : {"1", "2", "4"}) {
    SmallLlava llava(data, {std::string("train.shards=") + parts});
    const Stats stats = test::first_step(*llava.recipe, {.lr = 1e-3});
    losses.push_back(stats[0].second);
    losses.push_back(stat(stats, "grad_norm"));
  }
  for (size_t i = 2; i < losses.size(); ++i) CHECK(losses[i] == doctest::Approx(losses[i % 2]).epsilon(1e-5));
}

TEST_CASE("features of a frozen tower that are kept in a file train the same model") {
  const SquareQuestions data;
  const std::string keep = "data.cache_features=" + (data.path() / "features.h5").string();
  std::vector<std::string> changes = {"train.parts=[projector, decoder]"};
  SmallLlava plain(data, changes);
  changes.push_back(keep);
  SmallLlava kept(data, changes), again(data, changes);
  train_in(plain, RunFolder::create(data.path() / "plain", "squares"));
  train_in(kept, RunFolder::create(data.path() / "kept", "squares"));
  const Outcome third = train_in(again, RunFolder::create(data.path() / "again", "squares"));  // the file is there
  const TensorMap expected = llava_weights(*plain.recipe), weights = llava_weights(*kept.recipe);
  for (const auto& weight : expected) {
    const std::vector<double> a = weight.second.to_vector(), b = weights.at(weight.first).to_vector();
    double largest = 0;
    for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
    CHECK_MESSAGE(largest < 1e-4, weight.first);
  }
  CHECK(third.last == test::read_text(data.path() / "kept/checkpoints/last.h5"));
  CHECK_THROWS_WITH_AS(SmallLlava(data, {keep}), doctest::Contains("a tower that is not trained"), ConfigError);
  CHECK_THROWS_WITH_AS(SmallLlava(data, {keep, "train.parts=[projector]", "data.hflip=0.5"}),
                       doctest::Contains("without augmentation"), ConfigError);
}

TEST_CASE("with shuffled images, llava has only the questions to go by") {
  const SquareQuestions data;
  SmallLlava llava(data, {"train.epochs=40", "eval.every=40", "data.shuffle_images=true"});
  const auto metrics = train_in(llava, RunFolder::create(data.path() / "run", "squares")).result["metrics"];
  CAPTURE(metrics.dump());
  CHECK(metrics["accuracy_colour"] < 0.5);
}

TEST_CASE("stage 1 trains the projector alone, and stage 2 starts from it, with its sizes") {
  const SquareQuestions data;
  const std::string first = (data.path() / "stage1").string();
  SmallLlava start(data, first_stage(data)), one(data, first_stage(data));
  train_in(one, RunFolder::create(first, "squares"));
  const TensorMap before = llava_weights(*start.recipe), after = llava_weights(*one.recipe);
  for (const auto& [key, value] : before) {
    const std::string name = key;
    CAPTURE(name);
    CHECK((value.to_vector() != after.at(name).to_vector()) == name.starts_with("projector."));
  }
  // Neither a tower, a decoder nor a tokenizer is named.
  LlavaConfig settings;
  Config config(settings);
  config.read_text("recipe: llava\ndata: {template: llava_hf}\ntrain: {batch_size: 4}\n", "second.yaml");
  config.set("init=" + first);
  config.set("data.root=" + data.path().string());
  const std::vector<std::string> notes = settings.settle(config);
  REQUIRE(notes.size() == 1);
  CHECK(settings.data.img_size == 16);
  CHECK(settings.model.decoder.embed_dim == 32);
  CHECK(settings.data.std == std::vector<double>{0.25, 0.25, 0.25});
  CHECK(settings.settle(config).empty());  // as a resumed run does
  const auto two = settings.build();
  CHECK(two->begin().size() == 1);
  for (const auto& [name, value] : llava_weights(*two)) CHECK(value.to_vector() == after.at(name).to_vector());
}

TEST_CASE("llava with LoRA changes only adapters and projector, and opens with the adapters in its weights") {
  const SquareQuestions data;
  const std::string first = (data.path() / "stage1").string(), folder = (data.path() / "lora").string();
  SmallLlava one(data, first_stage(data));
  train_in(one, RunFolder::create(first, "squares"));
  const std::vector<std::string> changes = {"init=" + first, "train.parts=[]", "lora.rank=2"};
  SmallLlava whole(data, changes), begun(data, changes), resumed(data, changes);
  const Outcome expected = train_in(whole, RunFolder::create(folder, "squares"));
  CHECK(expected.code == 0);
  const RunFolder parts = RunFolder::create(data.path() / "parts", "squares");
  test::StopAfter stopped(*begun.recipe, 7);
  CHECK(run(stopped, parts, begun.config.yaml(false)).code == 130);
  CHECK(train_in(resumed, parts).last == expected.last);

  const TensorMap before = llava_weights(*one.recipe), after = llava_weights(*whole.recipe),
                  opened = open_llava_run(folder).weights;
  int64_t adapters = 0;
  for (const auto& [key, value] : after) {
    const std::string name = key;
    CAPTURE(name);
    if (nn::is_lora(name)) {
      ++adapters;
      CHECK(name.starts_with("language_model.layers."));
      continue;
    }
    CHECK((value.to_vector() != before.at(name).to_vector()) == name.starts_with("projector."));
    const bool adapted = after.contains(name.substr(0, name.rfind('.')) + ".lora_a");
    CHECK((value.to_vector() != opened.at(name).to_vector()) == adapted);
  }
  CHECK(adapters == 2 * 7 * whole.settings.model.decoder.depth);
  CHECK(opened.size() == before.size());

  // The sizes are those of init, though the command line asks for them.
  SmallLlava rounded(data, {"init=" + first, "train.parts=[]", "lora.rank=2", "lora.base=bf16", "precision=bf16",
                            "decoder.embed_dim=~", "tower.arch=from_init"});
  CHECK(rounded.settings.model.decoder.embed_dim == 32);
  CHECK(train_in(rounded, RunFolder::create(data.path() / "bf16", "squares")).code == 0);
  CHECK(open_llava_run(data.path() / "bf16").weights.size() == before.size());

  CHECK_THROWS_WITH_AS(SmallLlava(data, {"lora.rank=2"}), doctest::Contains("adapters change trained weights"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(SmallLlava(data, {"init=" + first, "lora.rank=2", "train.parts=[projector]"}),
                       doctest::Contains("adapters are of the decoder"), ConfigError);
}

TEST_CASE("a tower of another run or folder is taken with its sizes") {
  const SquareQuestions data;
  SmallLlava source(data);
  train_in(source, RunFolder::create(data.path() / "source", "squares"));
  const std::string init = "tower.init=" + (data.path() / "source").string();
  SmallLlava llava(data, {init, "tower.arch=from_init", "tower.depth=~", "tower.embed_dim=~", "tower.num_heads=~",
                          "tower.feature_layer=-2", "seed=7"});
  CHECK(llava.settings.model.tower.vit.depth == 2);
  CHECK(llava.settings.llava().vision.depth == 1);  // the last block is not read
  CHECK(!llava.recipe->begin().empty());
  const TensorMap theirs = llava_weights(*source.recipe), ours = llava_weights(*llava.recipe);
  CHECK(ours.at("vision_tower.blocks.0.attn.qkv.weight").to_vector() ==
        theirs.at("vision_tower.blocks.0.attn.qkv.weight").to_vector());
  CHECK(!ours.contains("vision_tower.blocks.1.attn.qkv.weight"));
  CHECK_THROWS_WITH_AS(open_model(data.path() / "source", {"tower.feature_norm=false"}),
                       doctest::Contains("no features by itself"), ConfigError);
}

TEST_CASE("settings of llava that do not fit are refused by name") {
  const SquareQuestions data;
  struct Row {
    std::vector<std::string> changes;
    std::string says;
  };
  const Row rows[] = {{{"decoder.tokenizer=''"}, "decoder.tokenizer=FILE names"},
                      {{"decoder.embed_dim=~"}, "decoder.init=FOLDER takes a language model"},
                      {{"decoder.vocab_size=100"}, "and the decoder 100 rows"},
                      {{"tower.arch=from_init"}, "tower.init=RUN or FOLDER"},
                      {{"tower.feature_layer=[-3]"}, "feature layer -3: a tower of 2 blocks"},
                      {{"tower.pixel_shuffle=3"}, "4 patches along a side"},
                      {{"train.parts=[head]"}, "tower, projector or decoder"},
                      {{"data.max_length=8"}, "an image of 4 tokens ends at 12"},
                      {{"data.template=chat"}, "llava_hf"},
                      {{"data.repeated_aug=2"}, "conversations come once in an epoch"},
                      {{"optim.layer_decay=0.5"}, "share no layers"}};
  for (const Row& row : rows) {
    CAPTURE(row.says);
    CHECK_THROWS_WITH_AS(SmallLlava(data, row.changes), doctest::Contains(row.says.c_str()), Error);
  }
}
