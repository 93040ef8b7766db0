#include "tests/support/temporary_folder.h"
#include "tests/support/training_run.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/core/ops.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/weights/layout.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/methods/clip.h"
#include "vitrail/recipes/methods/clip_data.h"
#include "vitrail/recipes/methods/clip_eval.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/start_weights.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace vitrail;
using namespace vitrail::recipes;
using test::Outcome;
using test::run;
namespace fs = std::filesystem;

namespace {

struct Colour {
  const char* name;
  uint8_t r, g, b;
};
constexpr Colour kColours[] = {{"red", 220, 30, 30},     {"green", 30, 200, 40},   {"blue", 30, 40, 220},
                               {"yellow", 230, 220, 20}, {"black", 10, 10, 10},    {"white", 250, 250, 250},
                               {"orange", 250, 140, 10}, {"purple", 130, 20, 140}, {"grey", 128, 128, 128}};

/// Plain squares of nine colours in three shades, with two captions each; the middle shade is for evaluation.
void write_pairs(const fs::path& folder) {
  fs::create_directories(folder / "squares");
  std::string train = "path\tcaption\tkind\n", val = train, names;
  for (const auto& [name, r, g, b] : kColours) {
    names += std::string(name) + "\n";
    for (int shade = 0; shade < 3; ++shade) {
      data::Image image(16, 16);
      for (size_t i = 0; i < image.pixels().size(); i += 3) {
        const int change = 5 * (shade - 1);
        image.data()[i] = uint8_t(r + change);
        image.data()[i + 1] = uint8_t(g + change);
        image.data()[i + 2] = uint8_t(b + change);
      }
      const std::string path = "squares/" + std::string(name) + std::to_string(shade) + ".png";
      data::write_png(folder / path, image);
      std::string& table = shade == 1 ? val : train;
      table += path + "\t" + name + "\tname\n" + path + "\ta square, all " + name + "\tsentence\n";
    }
  }
  test::write_text(folder / "captions.train.tsv", train);
  test::write_text(folder / "captions.val.tsv", val);
  test::write_text(folder / "names.txt", names);
  test::write_text(folder / "templates.txt", "{}\na square, all {}\n");
}

constexpr std::string_view kRecipe = R"(
recipe: clip
name: squares
model: {arch: ViT-S-32-alt, embed_dim: 16}
vision: {patch_size: 8, embed_dim: 24, depth: 2, num_heads: 2, drop_path_rate: 0.2, patch_drop_rate: 0.25}
text: {vocab_size: 560, context_length: 12, embed_dim: 16, depth: 2, num_heads: 2}
data: {img_size: 16, workers: 1}
optim: {lr: 2.0e-3, weight_decay: 0.05}
schedule: {warmup_epochs: 1}
train: {epochs: 3, batch_size: 6, log_every: 1}
eval: {every: 3, captions: [name]}
)";

struct SmallClip {
  SmallClip(const fs::path& root, const std::vector<std::string>& changes = {}) : config(settings) {
    config.read_text(kRecipe, "squares.yaml");
    config.set("data.root=" + root.string());
    config.set("zero_shot.names=" + (root / "names.txt").string());
    for (const std::string& change : changes) config.set(change);
    recipe = settings.build();
  }
  Outcome train(const RunFolder& folder) { return run(*recipe, folder, config.yaml(false)); }

  ClipConfig settings;
  Config config;
  std::unique_ptr<Recipe> recipe;
};

TensorMap weights_of(const Recipe& recipe) { return sub_map(recipe.state(), "model"); }

bool equal(const Tensor& a, const Tensor& b) { return a.shape() == b.shape() && a.to_vector() == b.to_vector(); }

}  // namespace

TEST_CASE("clip goes on bit for bit from the middle of an epoch, in parts or not") {
  const test::TemporaryFolder temp;
  write_pairs(temp.path());
  for (const std::vector<std::string>& changes : {std::vector<std::string>{"train.micro_batch=4"},
                                                  {"precision=bf16"},
                                                  {"train.loss=sigmoid", "text.lock=true"}}) {
    CAPTURE(changes[0]);
    const RunFolder whole = RunFolder::create(temp.path() / ("whole" + changes[0]), "squares");
    SmallClip reference(temp.path(), changes);
    const Outcome expected = reference.train(whole);
    CHECK(expected.code == 0);
    CHECK(expected.result["steps"] == 9);
    for (const char* name :
         {"zero_shot_top1", "zero_shot_top5", "zero_shot_top10", "i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r10",
          "i2t_median_rank", "t2i_mean_rank", "zero_shot_top1_untrained", "i2t_r1_untrained", "t2i_r10_untrained"})
      CHECK_MESSAGE(expected.result["metrics"].contains(name), name);

    const RunFolder parts = RunFolder::create(temp.path() / ("parts" + changes[0]), "squares");
    SmallClip first(temp.path(), changes), second(temp.path(), changes);
    test::StopAfter stopped(*first.recipe, 5);
    CHECK(run(stopped, parts, first.config.yaml(false)).code == 130);
    const Outcome resumed = second.train(parts);
    CHECK(resumed.last == expected.last);
    CHECK(resumed.result["metrics"] == expected.result["metrics"]);
  }
}

TEST_CASE("clip learns the names of colours and tells unseen shades by them") {
  const test::TemporaryFolder temp;
  write_pairs(temp.path());
  SmallClip clip(temp.path(), {"train.epochs=60", "eval.every=60", "vision.drop_path_rate=0",
                               "vision.patch_drop_rate=0", "data.crop_scale=[1,1]", "train.batch_size=9"});
  const Outcome outcome = clip.train(RunFolder::create(temp.path() / "run", "squares"));
  const auto& metrics = outcome.result["metrics"];
  CHECK(metrics["zero_shot_top1"] > 0.85);
  CHECK(metrics["i2t_r1"] > 0.85);
  CHECK(metrics["t2i_r5"] > 0.95);
  CHECK(metrics["zero_shot_top1_untrained"] < 0.5);

  const OpenModel trained = open_model(temp.path() / "run");
  const TextFeatures& features = trained.text_features;
  const std::vector<std::string> names = {"red", "green", "blue"};
  const Tensor weights = zero_shot_weights(features, names, {"{}", "a square, all {}"});
  const Tensor many = features(std::vector<std::string>(600, "red"));
  CHECK(many.size(0) == 600);
  CHECK(core::norm(core::sub(many.select(0, 0), many.select(0, 599))) < 1e-6);
  CHECK(weights.shape() == Shape{3, 16});
  CHECK(core::norm(weights.select(0, 1)) == doctest::Approx(1));

  // The image tower alone serves as a backbone.
  CHECK(trained.backbone->features(zeros({1, 3, 16, 16})).shape() == Shape{1, 24});
  CHECK(equal(trained.backbone->logits(zeros({1, 3, 16, 16})).value(), trained.image_features(zeros({1, 3, 16, 16}))));
  CHECK(trained.classify == nullptr);
  CHECK(read_weights(temp.path() / "run").tensors.contains("blocks.0.mlp.fc1.bias"));
  CHECK(read_clip_weights(temp.path() / "run").tensors.contains("visual.blocks.0.mlp.fc1.bias"));
}

TEST_CASE("the loss of a batch and what is learned from it do not depend on its parts") {
  const test::TemporaryFolder temp;
  write_pairs(temp.path());
  const auto after = [&](const std::string& parts) {
    SmallClip clip(temp.path(), {"train.micro_batch=" + parts, "vision.drop_path_rate=0", "vision.patch_drop_rate=0",
                                 "train.epochs=2"});
    clip.train(RunFolder::create(temp.path() / ("parts" + parts), "squares"));
    return weights_of(*clip.recipe);
  };
  const TensorMap one = after("6"), six = after("1");
  for (const auto& weight : one) {
    const auto& name = weight.first;
    const Tensor& tensor = weight.second;
    if (name.ends_with("qkv.bias")) continue;  // the key bias has no effect: Adam turns its rounding noise into steps
    CHECK_MESSAGE(core::norm(core::sub(tensor, six.at(name))) < 1e-3 * (1 + core::norm(tensor)), name);
  }
}

TEST_CASE("locked towers stay as they are but for the groups that are left unlocked") {
  const test::TemporaryFolder temp;
  write_pairs(temp.path());
  SmallClip clip(temp.path(), {"vision.lock=true", "vision.unlocked_groups=2", "text.lock=true", "train.epochs=2"});
  TensorMap before;
  for (const auto& [name, tensor] : weights_of(*clip.recipe)) before.emplace(name, tensor.clone());
  clip.train(RunFolder::create(temp.path() / "run", "squares"));
  for (const auto& weight : weights_of(*clip.recipe)) {
    const auto& name = weight.first;
    const Tensor& tensor = weight.second;
    const bool trained = name == "logit_scale" || name.starts_with("visual.blocks.1.") ||
                         name == "visual.head.weight" || name.starts_with("visual.norm.");
    CHECK_MESSAGE(equal(tensor, before.at(name)) != trained, name);
  }
  for (const auto& weight : sub_map(clip.recipe->state(), "optimizer"))
    CHECK_MESSAGE(weight.first.find("text.") == std::string::npos, weight.first);
  CHECK_THROWS_WITH_AS(SmallClip(temp.path(), {"vision.lock=true", "vision.unlocked_groups=5"}),
                       doctest::Contains("5 groups to leave unlocked; it has 4"), ConfigError);
}

TEST_CASE("clip starts from weights with OpenAI's names, and its image tower from those of any transformer") {
  const test::TemporaryFolder temp;
  write_pairs(temp.path());
  SmallClip source(temp.path(), {"seed=7"});
  const std::string file = (temp.path() / "openai.safetensors").string();
  safetensors::save(file, nn::to_layout(nn::layout_named("open_clip"), weights_of(*source.recipe)).weights);
  SmallClip whole(temp.path(), {"init=" + file});
  whole.recipe->begin();
  for (const auto& weight : weights_of(*whole.recipe))
    CHECK_MESSAGE(equal(weight.second, weights_of(*source.recipe).at(weight.first)), weight.first);

  const TensorMap tower = without_prefix(weights_of(*source.recipe), "visual.");
  safetensors::save(file, tower);
  SmallClip locked(temp.path(), {"vision.init=" + file, "vision.lock=true"});
  const auto notes = locked.recipe->begin();
  CHECK(notes.at(0) == "[init] weights of " + file);
  CHECK(equal(weights_of(*locked.recipe).at("visual.blocks.1.mlp.fc1.weight"), tower.at("blocks.1.mlp.fc1.weight")));
}

TEST_CASE("a ViT of another kind serves as the image tower") {
  const test::TemporaryFolder temp;
  write_pairs(temp.path());
  SmallClip clip(temp.path(), {"vision.arch=vit_tiny", "train.epochs=2"});
  const TensorMap weights = weights_of(*clip.recipe);
  CHECK_FALSE(weights.contains("visual.norm_pre.weight"));
  CHECK(weights.at("visual.head.weight").shape() == Shape{16, 24});
  CHECK(clip.train(RunFolder::create(temp.path() / "run", "squares")).code == 0);
}

TEST_CASE("every image's captions take their turns, the same however often the run was resumed") {
  const test::TemporaryFolder temp;
  write_pairs(temp.path());
  const SmallClip clip(temp.path());
  data::BadFiles bad_files = bad_files_policy(clip.settings.data);
  ClipTrainData pairs(clip.settings, bad_files);
  CHECK(pairs.tokenizer().vocabulary().size() <= 560);
  const auto loader = pairs.loader({});
  std::vector<int64_t> lengths;
  for (auto batch = loader->next(); batch; batch = loader->next()) {
    const Tensor& ids = (*batch)["tokens"];
    CHECK(ids.size(0) == 6);
    lengths.push_back(ids.size(1));
  }
  CHECK(std::find_if(lengths.begin(), lengths.end(), [](int64_t n) { return n > 4; }) != lengths.end());
  const ClipEvalData eval(clip.settings, bad_files);
  REQUIRE(eval.pairs());
  CHECK(eval.pairs()->texts.size() == 9);  // of the kind asked for
  REQUIRE(eval.classes());
  CHECK(eval.classes()->labels == std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8});

  const Preview shown = clip.settings.preview(4);
  CHECK(shown.images.size() == 4);
  CHECK(shown.captions.size() == 4);
  CHECK(shown.captions[0].find('<') == std::string::npos);
}

TEST_CASE("a table of one's own has no kinds, other names and missing images") {
  const test::TemporaryFolder temp;
  write_pairs(temp.path());
  const std::vector<std::string> changes = {"zero_shot.names=" + (temp.path() / "other.txt").string()};
  test::write_text(temp.path() / "other.txt", "cat\ndog\n");
  const auto messages = [](const SmallClip& clip) {
    std::string all;
    for (const std::string& message : clip.recipe->take_messages()) all += message + "\n";
    return all;
  };
  std::string text = messages(SmallClip(temp.path(), changes));
  CHECK(text.find("is one of the 2 names") != std::string::npos);
  CHECK(text.find("zero_shot.names=FILE names your classes") != std::string::npos);

  // recipes/clip_emoji.yaml asks for captions of the kind 'name'.
  for (const char* part : {"captions.train.tsv", "captions.val.tsv"}) {
    std::string table = "path\tcaption\n";
    for (const Colour& colour : kColours)
      table += "squares/" + std::string(colour.name) + "1.png\ta " + colour.name + " square\n";
    test::write_text(temp.path() / part, table);
  }
  SmallClip own(temp.path(), changes);
  text = messages(own);
  CHECK(text.find("retrieval takes all captions: these have no kinds") != std::string::npos);
  CHECK(own.recipe->score_name() == "i2t_r1");
  CHECK(own.recipe->headline()[0].starts_with("9 training images, 9 validation images"));

  fs::remove(temp.path() / "squares/red1.png");
  fs::remove(temp.path() / "squares/grey1.png");
  CHECK_THROWS_WITH_AS(SmallClip(temp.path(), changes), doctest::Contains("'squares/red1.png'"), DataError);
  CHECK_THROWS_WITH_AS(SmallClip(temp.path(), changes), doctest::Contains("; 1 more are missing"), DataError);
  CHECK_THROWS_WITH_AS(SmallClip(temp.path(), {"data.on_error=skip"}), doctest::Contains("data.max_bad 0.01"),
                       DataError);
  SmallClip skipping(temp.path(), {changes[0], "data.on_error=skip", "data.max_bad=0.5"});
  CHECK(messages(skipping).find(
            "2 of the 9 images of the part 'train' are not there: squares/red1.png, squares/grey1.png") !=
        std::string::npos);
  CHECK(skipping.recipe->headline()[0].starts_with("7 training images"));
}

TEST_CASE("broken images are left out of retrieval, with the texts that only they have") {
  data::Pairs pairs;
  pairs.captions = {{"red", "colour"}, {"colour", "green"}, {"blue"}};
  const EvalPairs all(std::move(pairs));
  CHECK(all.texts == std::vector<std::string>{"red", "colour", "green", "blue"});
  const Answers answers = answers_among(all, {0, 2});
  CHECK(answers.texts == std::vector<std::string>{"red", "colour", "blue"});
  CHECK(answers.texts_of == std::vector<std::vector<int64_t>>{{0, 1}, {2}});
  CHECK(answers.images_of == std::vector<std::vector<int64_t>>{{0}, {0}, {1}});

  const test::TemporaryFolder temp;
  write_pairs(temp.path());
  const SmallClip clip(temp.path(), {"data.on_error=skip", "data.max_bad=0.5"});
  data::BadFiles bad_files = bad_files_policy(clip.settings.data);
  ClipEvalData eval(clip.settings, bad_files);
  REQUIRE(eval.pairs());
  const std::string broken = eval.pairs()->images->name(4);
  test::write_text(broken, "no image");
  const FeatureOf ones = [](const Tensor& images) { return full({images.size(0), 2}, 1); };
  const TextFeatures same = [](std::span<const std::string> texts) { return full({int64_t(texts.size()), 2}, 1); };
  const Stats stats = evaluate_clip(ones, same, eval, [](int64_t, int64_t) {});
  CHECK(stat(stats, "images") == 8);
  CHECK(stat(stats, "zero_shot_images") == 8);
  CHECK(stat(stats, "zero_shot_top1") == doctest::Approx(1.0 / 8));  // on ties the first class
}

TEST_CASE("names for zero-shot classification meet the folders of their names") {
  const test::TemporaryFolder temp;
  write_pairs(temp.path());
  for (const char* name : {"ice_cream", "tea"}) {
    fs::create_directories(temp.path() / "food/val" / name);
    data::write_png(temp.path() / "food/val" / name / "1.png", data::Image(4, 4));
  }
  const auto open = [&](const std::string& names) {
    test::write_text(temp.path() / "food.txt", names);
    const SmallClip clip(temp.path(), {"zero_shot.root=" + (temp.path() / "food").string(),
                                       "zero_shot.names=" + (temp.path() / "food.txt").string()});
    data::BadFiles bad_files;
    const ClipEvalData eval(clip.settings, bad_files);
    return std::pair(eval.classes()->labels, eval.notes());
  };
  CHECK(open("tea\nbread\nice cream\n").first == std::vector<int64_t>{2, 0});
  const auto [labels, notes] = open("dessert\ndrink\n");
  CHECK(labels == std::vector<int64_t>{0, 1});
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].find("so their order counts: 'ice cream' is 'dessert', 'tea' is 'drink'") != std::string::npos);
  CHECK_THROWS_WITH_AS(open("tea\nbread\n"), doctest::Contains("unknown there: ice cream; missing here: bread"),
                       DataError);
}

TEST_CASE("values of clip that do not fit together are refused before training") {
  const test::TemporaryFolder temp;
  write_pairs(temp.path());
  const auto error_of = [&](const std::vector<std::string>& changes) -> std::string {
    try {
      SmallClip clip(temp.path(), changes);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
  CHECK(error_of({"train.batch_size=19"}).find("19 is more than the 18 training images of an epoch") !=
        std::string::npos);
  CHECK(error_of({"data.auto_augment=rand-x9"}).find("rand-x9") != std::string::npos);
  CHECK(error_of({"train.batch_size=1", "train.loss=contrastive"}).find("at least two pairs") != std::string::npos);
  CHECK(error_of({"model.logit_bias=1", "train.loss=contrastive"}).find("does not depend on it") != std::string::npos);
  CHECK(error_of({"optim.layer_decay=0.9"}).find("the two towers share no layers") != std::string::npos);
  CHECK(error_of({"data.captions=[names]"}).find("names") != std::string::npos);

  const RunFolder folder = RunFolder::create(temp.path() / "run", "squares");
  SmallClip first(temp.path());
  first.train(folder);
  SmallClip second(temp.path(), {"text.vocab_size=530"});
  CHECK_THROWS_WITH_AS(second.train(folder), doctest::Contains("its vocabulary of"), IoError);
}

TEST_CASE(
    "clip starts from weights with a longer context: the first positions are taken, and texts keep their features") {
  const test::TemporaryFolder temp;
  write_pairs(temp.path());
  SmallClip longer(temp.path(), {"text.context_length=16", "train.epochs=1", "schedule.warmup_epochs=0"});
  CHECK(longer.train(RunFolder::create(temp.path() / "run", "squares")).code == 0);
  const std::string init = "init=" + (temp.path() / "run").string();
  SmallClip shorter(temp.path(), {init});  // of 12
  const std::vector<std::string> notes = shorter.recipe->begin();
  CHECK(std::count_if(notes.begin(), notes.end(), [](const std::string& note) {
          return note.find("the first 12 of its 16 positions of texts are taken") != note.npos;
        }) == 1);
  const Tick tick = [](int64_t, int64_t) {};
  const Stats before = longer.recipe->evaluate(tick).stats, after = shorter.recipe->evaluate(tick).stats;
  for (const char* name : {"zero_shot_top1", "i2t_r1", "t2i_mean_rank"}) CHECK(stat(after, name) == stat(before, name));
  CHECK(equal(weights_of(*shorter.recipe).at("text.pos_embed"),
              weights_of(*longer.recipe).at("text.pos_embed").slice(0, 0, 12)));
  SmallClip longest(temp.path(), {init, "text.context_length=24"});
  CHECK_THROWS_WITH_AS(longest.recipe->begin(),
                       doctest::Contains(("text.context_length is 24, but " + (temp.path() / "run").string() +
                                          " has trained 16 positions of texts")
                                             .c_str()),
                       IoError);
}
