#include "tests/support/close.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "tests/support/training_run.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/dnnl/stats.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/rng.h"
#include "vitrail/nn/models/clip.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/weights/layout.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/methods/supervised.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/start_architecture.h"
#include "vitrail/recipes/models/start_weights.h"
#include "vitrail/recipes/models/vit_family.h"
#include "vitrail/recipes/models/write_model.h"
#include "vitrail/recipes/run/checkpoint.h"
#include "vitrail/recipes/run/loop.h"
#include "vitrail/recipes/run/registry.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <stdlib.h>

using namespace vitrail;
using namespace vitrail::recipes;
using test::Outcome;
using test::run;
using test::StopAfter;
namespace fs = std::filesystem;

namespace {

const fs::path kRecipes = fs::path(VITRAIL_SOURCE_DIR) / "recipes";

/// vit_digits.yaml made smaller: 12 steps an epoch.
std::unique_ptr<Recipe> small_digits(const std::vector<std::string>& changes = {}, SupervisedConfig* kept = nullptr) {
  SupervisedConfig own;
  SupervisedConfig& settings = kept == nullptr ? own : *kept;
  Config config(settings);
  config.read(kRecipes / "vit_digits.yaml");
  for (const char* change :
       {"model.embed_dim=32", "model.depth=2", "train.batch_size=119", "train.epochs=2", "schedule.warmup_epochs=0",
        "train.log_every=1", "data.crop=none", "optim.lr=2e-3", "model.drop_rate=0.1", "model.drop_path_rate=0.1"})
    config.set(change);
  for (const std::string& change : changes) config.set(change);
  return settings.build();
}

/// Trains without a stop, and with a stop and a resume. Both must end with the same bytes. Returns the outcome.
Outcome check_resumes(const std::vector<std::string>& changes, const fs::path& folder, int64_t stop = 17) {
  Outcome reference = run(*small_digits(changes), RunFolder::create(folder / "whole", "digits"));
  CHECK(reference.code == 0);
  const RunFolder parts = RunFolder::create(folder / "parts", "digits");
  const auto first = small_digits(changes);
  StopAfter stopped(*first, stop);
  CHECK(run(stopped, parts).code == 130);
  const Outcome resumed = run(*small_digits(changes), parts);
  CHECK(resumed.code == 0);
  CHECK(resumed.last == reference.last);
  CHECK(resumed.result["metrics"] == reference.result["metrics"]);
  return reference;
}

/// Trains briefly on the small digits, to get a teacher or initial weights. Returns the run's folder.
fs::path trained_digits(const fs::path& folder, const std::vector<std::string>& changes = {}) {
  SupervisedConfig settings;
  Config config(settings);
  const auto recipe = small_digits(changes, &settings);
  const RunFolder run_folder = RunFolder::create(folder, "digits");
  std::FILE* log = std::tmpfile();
  run_training(*recipe, run_folder, {.command = "", .config = config.yaml(false), .out = log});
  std::fclose(log);
  return folder;
}

}  // namespace

TEST_CASE("supervised learns, and goes on bit for bit from the middle of an epoch") {
  const test::TemporaryFolder temp;  // dropout is on as well
  const Outcome outcome = check_resumes({"train.ema_decay=0.9", "train.shards=7"}, temp.path());
  CHECK(outcome.result["steps"] == 24);
  const double top1 = outcome.result["metrics"]["top1"], top5 = outcome.result["metrics"]["top5"];
  CHECK(top1 > 0.12);
  CHECK(top5 > top1);
  CHECK(outcome.result["metrics"].contains("ema_top1"));
}

TEST_CASE("after two steps nothing is asked of the system and no primitive is built") {
  for (const std::string precision : {"f32", "bf16"}) {
    const ag::Autocast compute(parse_dtype(precision));
    const auto recipe = small_digits({"precision=" + precision, "train.ema_decay=0.9", "optim.clip_grad=1"});
    std::vector<data::Batch> batches;  // loaded first: how far ahead the loader is differs from run to run
    for (const auto loader = recipe->load({}); batches.size() < 8;) batches.push_back(*loader->next());
    const auto step = [&](int64_t number) { recipe->step(batches[size_t(number)], {.step = number, .lr = 1e-3}); };
    step(0);
    step(1);
    const int64_t allocations = memory::system_allocations(), primitives = core::dnnl::primitives_built();
    for (int64_t number = 2; number < 8; ++number) step(number);
    CHECK(memory::system_allocations() == allocations);
    CHECK(core::dnnl::primitives_built() == primitives);
  }
}

TEST_CASE("mixed batches go on bit for bit") {
  for (const std::string mode : {"batch", "elem"}) {
    const test::TemporaryFolder temp;
    check_resumes({"train.batch_size=118", "train.mixup=0.8", "train.cutmix=1", "train.label_smoothing=0.1",
                   "train.mixup_mode=" + mode, "train.epochs=1"},
                  temp.path(), 7);
  }
}

TEST_CASE("repeated and augmented images go on bit for bit") {
  const test::TemporaryFolder temp;
  const Outcome outcome =
      check_resumes({"data.repeated_aug=3", "data.crop=random_resized", "data.auto_augment=rand-m9-mstd0.5-inc1",
                     "data.random_erasing=0.5", "train.batch_size=128"},
                    temp.path(), 13);
  CHECK(outcome.result["steps"] == 20);  // 1437 images are rounded down to a multiple of 256
}

TEST_CASE("mixing leaves the images of the batch as they are") {
  const auto recipe = small_digits({"train.batch_size=118", "train.cutmix=1"});
  const auto batch = recipe->load({})->next();
  const Tensor before = (*batch)["images"].clone();
  recipe->step(*batch, {});
  CHECK(test::max_difference((*batch)["images"], before) == 0);  // a failed step is repeated on the same images
}

TEST_CASE("distilled runs report each head, are judged by the mean, and go on bit for bit") {
  const test::TemporaryFolder temp;
  const std::string teacher =
      trained_digits(
          temp.path() / "teacher",
          {"model.arch=resnet20", "model.patch_size=~", "model.embed_dim=~", "model.depth=~", "model.num_heads=~",
           "model.mlp_ratio=~", "model.drop_rate=0", "model.drop_path_rate=0", "model.global_pool=~", "train.epochs=1"})
          .string();
  for (const std::string kind : {"soft", "hard"}) {
    const Outcome outcome =
        check_resumes({"model.global_pool=token", "model.distilled=true", "train.epochs=1", "distillation.kind=" + kind,
                       "distillation.teacher='" + teacher + "'", "distillation.tau=2"},
                      temp.path() / kind, 7);
    const auto& metrics = outcome.result["metrics"];
    for (const char* name : {"top1", "cls_top1", "dist_top1", "cls_loss", "dist_loss"}) CHECK(metrics.contains(name));
  }
}

TEST_CASE("compat: deit decays the distillation token, as the published code does") {
  const test::TemporaryFolder temp;
  const std::string teacher = trained_digits(temp.path() / "teacher", {"train.epochs=1"}).string();
  const auto moved = [&](const std::string& compat) {
    const auto recipe =
        small_digits({"model.global_pool=token", "model.distilled=true", "model.drop_rate=0", "model.drop_path_rate=0",
                      "distillation.kind=soft", "distillation.teacher='" + teacher + "'", "distillation.norm=batch",
                      "compat=" + compat});
    recipe->step(*recipe->load({})->next(), {.lr = 0.1, .weight_decay = 5});
    return recipe->state();
  };
  const TensorMap fixed = moved("none"), published = moved("deit");
  CHECK(test::max_difference(fixed.at("model/dist_token"), published.at("model/dist_token")) > 1e-3);
  CHECK(test::max_difference(fixed.at("model/cls_token"), published.at("model/cls_token")) == 0);
}

TEST_CASE("the teacher sees the very images that the student sees") {
  const test::TemporaryFolder temp;
  const std::vector<std::string> plain = {"model.drop_rate=0", "model.drop_path_rate=0", "train.batch_size=118"};
  std::vector<std::string> once = plain;
  once.emplace_back("train.epochs=1");
  const std::string teacher = trained_digits(temp.path() / "teacher", once).string();
  const auto divergence = [&](const std::vector<std::string>& more) {
    std::vector<std::string> changes = plain;
    for (const char* change :
         {"train.mixup=0.8", "train.cutmix=1", "distillation.kind=soft", "data.crop=random_resized"})
      changes.emplace_back(change);
    changes.push_back("distillation.teacher='" + teacher + "'");
    changes.insert(changes.end(), more.begin(), more.end());
    const auto student = small_digits(changes);
    student->begin();
    return stat(student->step(*student->load({})->next(), {}), "distill_loss");
  };
  CHECK(divergence({}) > 1e-3);
  CHECK(divergence({"init='" + teacher + "'"}) < 1e-6);  // the student is its teacher
}

TEST_CASE("a teacher of another normalisation sees the same pixels") {
  const test::TemporaryFolder temp;
  DistillationConfig config;
  config.kind = DistillationConfig::Kind::soft;
  config.teacher = trained_digits(temp.path() / "teacher", {"train.epochs=1"}).string();
  const DataConfig its = open_model(config.teacher).eval.data;
  DataConfig other = its;
  other.mean = {0.5, 0.4, 0.1};
  other.std = {0.2, 0.5, 1};
  const Tensor pixels = Rng(1, "pixels").uniform({4, 3, 8, 8}, 0, 1);
  const auto normalised = [&pixels](const DataConfig& c) {
    const Tensor mean = tensor(c.mean, {3, 1, 1}).to(DType::f32), std = tensor(c.std, {3, 1, 1}).to(DType::f32);
    return core::div(core::sub(pixels, mean), std);
  };
  std::vector<std::string> digits;
  digits.reserve(10);
  for (int i = 0; i < 10; ++i) digits.push_back(std::to_string(i));
  const Tensor a = Distillation(config, its, digits).teach(normalised(its));
  const Tensor b = Distillation(config, other, digits).teach(normalised(other));
  CHECK(test::max_difference(a, b) < 1e-4);

  // Its outputs are those of the data's classes, by name.
  const Tensor few = Distillation(config, its, {"7", "2"}).teach(normalised(its));
  REQUIRE(few.shape() == Shape{4, 2});
  for (int64_t i = 0; i < 4; ++i) {
    CHECK(few.select(0, i).to_vector()[0] == a.select(0, i).to_vector()[7]);
    CHECK(few.select(0, i).to_vector()[1] == a.select(0, i).to_vector()[2]);
  }
  CHECK_THROWS_WITH_AS(Distillation(config, its, {"7", "twelve"}), doctest::Contains("unknown there: twelve"),
                       DataError);
  CHECK_THROWS_WITH_AS(Distillation(config, its, {"seven", "two"}), doctest::Contains("no name agrees"), DataError);
  digits[0] = "zero";
  CHECK_THROWS_WITH_AS(Distillation(config, its, digits), doctest::Contains("unknown there: zero; missing here: 0"),
                       DataError);
}

TEST_CASE("the classifier of initial weights serves the classes of the same names") {
  const auto start = [](std::vector<std::string> classes) {
    StartWeights weights;
    weights.tensors = {{"head.weight", tensor<float>({1, 1, 2, 2, 3, 3}, {3, 2})},
                       {"head.bias", tensor<float>({1, 2, 3}, {3})},
                       {"norm.weight", tensor<float>({5, 6, 7}, {3})}};
    weights.classes = std::move(classes);
    return weights;
  };
  StartWeights same = start({"a", "b", "c"}), turned = same, some = same, other = same, part = same, old = start({});
  fit_classifier(same, {"a", "b", "c"});
  CHECK(same.notes.empty());
  fit_classifier(turned, {"c", "a", "b"});
  CHECK(turned.tensors.at("head.bias").to_vector() == std::vector<double>{3, 1, 2});
  CHECK(turned.tensors.at("head.weight").to_vector() == std::vector<double>{3, 3, 1, 1, 2, 2});
  CHECK(turned.tensors.at("norm.weight").to_vector() == std::vector<double>{5, 6, 7});
  fit_classifier(some, {"b"});
  CHECK(some.tensors.at("head.bias").to_vector() == std::vector<double>{2});
  fit_classifier(other, {"x", "y", "z"});
  CHECK(other.tensors.at("head.bias").to_vector() == std::vector<double>{1, 2, 3});
  REQUIRE(other.notes.size() == 1);
  CHECK(other.notes[0].find("their order counts") != std::string::npos);
  fit_classifier(part, {"a", "b", "d"});
  CHECK_FALSE(part.tensors.contains("head.weight"));
  CHECK(part.notes[0].find("the data has the classes a, b, d, the file a, b, c") != std::string::npos);
  fit_classifier(old, {"a", "b", "c"});
  CHECK(old.notes.empty());
}

TEST_CASE("a run starts from the weights of another, of another size too, and says what is new") {
  const test::TemporaryFolder temp;
  const std::string start = trained_digits(temp.path() / "start", {"train.epochs=1"}).string();
  const auto larger = small_digits({"init='" + start + "'", "data.img_size=12", "train.ema_decay=0.9"});
  const std::vector<std::string> notes = larger->begin();
  REQUIRE(notes.size() == 2);
  CHECK(notes[0] == "[init] weights of " + start);
  CHECK(notes[1].find("resampled from 4x4 to 6x6") != std::string::npos);
  const TensorMap state = larger->state(), theirs = read_weights(start).tensors;
  CHECK(test::max_difference(state.at("model/head.weight"), theirs.at("head.weight")) == 0);
  CHECK(test::max_difference(state.at("ema/head.weight"), theirs.at("head.weight")) == 0);

  safetensors::save(temp.path() / "weights.safetensors", theirs);
  const auto same = small_digits({"init='" + (temp.path() / "weights.safetensors").string() + "'"});
  CHECK(same->begin().size() == 1);
  CHECK(test::max_difference(same->state().at("model/pos_embed"), theirs.at("pos_embed")) == 0);
  CHECK_THROWS_WITH_AS(small_digits({"init=nowhere.safetensors"})->begin(),
                       doctest::Contains("nowhere.safetensors: no such file"), ConfigError);
}

TEST_CASE("a run starts from the image tower of a CLIP, and passes over a key of its configuration by accept_keys") {
  const test::TemporaryFolder temp;
  nn::ClipConfig config;
  config.vision = {.img_size = 8, .patch_size = 2, .num_classes = 10, .embed_dim = 32, .depth = 2, .num_heads = 2};
  config.vision.pre_norm = true;
  config.vision.head_bias = false;
  config.text.vocab_size = 515;
  config.text.embed_dim = 16;
  config.text.depth = config.text.num_heads = 1;
  config.text.out_dim = 10;
  const TensorMap weights = nn::state(nn::Clip(nn::Scope(1), config));
  const TensorMap clip = nn::to_layout(nn::layout_named("hf_clip"), weights).weights;
  TensorMap tower;
  for (const auto& [name, t] : clip)
    if (name.starts_with("vision_model.") || name == "visual_projection.weight") tower[name] = t;
  fs::create_directory(temp.path() / "tower");
  safetensors::save(temp.path() / "whole.safetensors", clip);
  safetensors::save(temp.path() / "tower/model.safetensors", tower);
  test::write_text(temp.path() / "tower/config.json",
                   R"({"model_type": "clip_vision_model", "hidden_size": 32, "num_hidden_layers": 2, "image_size": 8,
                       "num_attention_heads": 4, "intermediate_size": 128, "patch_size": 2, "projection_dim": 10, "gain": 2})");
  const auto notes_of = [&](const std::string& file, const std::string& gelu, const std::string& accept_keys) {
    const auto recipe = small_digits({"init='" + (temp.path() / file).string() + "'", "model.patch_size=2",
                                      "model.num_heads=2", "model.mlp_ratio=4", "model.global_pool=token",
                                      "model.pre_norm=true", "model.gelu=" + gelu, "accept_keys=" + accept_keys});
    std::string notes;
    for (const std::string& note : recipe->begin()) notes += note + "\n";
    const TensorMap state = recipe->state();
    CHECK(test::max_difference(state.at("model/norm_pre.weight"), weights.at("visual.norm_pre.weight")) == 0);
    CHECK(test::max_difference(state.at("model/blocks.1.mlp.fc2.weight"),
                               weights.at("visual.blocks.1.mlp.fc2.weight")) == 0);
    CHECK(test::max_difference(state.at("model/head.weight"), weights.at("visual.head.weight")) > 0);
    CHECK(notes.find("the projection to the space of both towers is left out") != notes.npos);
    return notes;
  };
  notes_of("whole.safetensors", "quick", "[]");
  CHECK_THROWS_WITH_AS(notes_of("tower", "quick", "[]"), doctest::Contains("'gain' is 2"), IoError);
  const std::string quick = notes_of("tower", "quick", "[gain]");
  CHECK(quick.find("'gain' is passed over") != quick.npos);
  CHECK(quick.find("the weights are of 4 heads, the model has 2") != quick.npos);
  CHECK(quick.find("QuickGELU") == quick.npos);
  CHECK(notes_of("tower", "erf", "[gain]").find("made with QuickGELU, the model has GELU") != std::string::npos);
}

TEST_CASE("a run starts from published weights, whatever their layout") {
  const test::TemporaryFolder temp;
  nn::VitConfig config{.img_size = 8, .patch_size = 2, .num_classes = 3, .embed_dim = 32};
  config.depth = config.num_heads = 2;
  config.mlp_ratio = 2;
  const nn::VisionTransformer other(nn::Scope(5), config);
  PublishedModel published;
  published.architecture = vit_architecture(config);
  published.weights = nn::state(other);
  write_model(published, "hf", temp.path() / "model");
  write_model(published, "torchvision", temp.path() / "tv.safetensors");
  for (const auto& [name, title] : {std::pair{"model", "Hugging Face ViT"}, {"tv.safetensors", "torchvision"}}) {
    const std::string path = (temp.path() / name).string();
    const auto recipe = small_digits({"init='" + path + "'", "model.global_pool=token"});
    const std::vector<std::string> notes = recipe->begin();
    REQUIRE(notes.size() == 3);
    CHECK(notes[0] == "[init] weights of " + path + ", in the layout of " + title);
    CHECK(notes[1].find("head.bias [10] starts anew") != std::string::npos);
    const TensorMap state = recipe->state();
    for (const char* weight : {"blocks.1.attn.qkv.bias", "pos_embed", "norm.weight"})
      CHECK(test::max_difference(state.at("model/" + std::string(weight)), published.weights.at(weight)) == 0);
  }
  const auto deeper =
      small_digits({"init='" + (temp.path() / "model").string() + "'", "model.global_pool=token", "model.depth=3"});
  CHECK_THROWS_WITH_AS(deeper->begin(), doctest::Contains("missing: encoder.layer.2.attention.attention.key.bias"),
                       IoError);
}

TEST_CASE("model.arch from_init takes architecture and pixels from a run or a published model") {
  const test::TemporaryFolder temp;
  const std::string start =
      trained_digits(temp.path() / "start", {"train.epochs=1", "model.global_pool=token", "model.layerscale_init=1e-4",
                                             "model.num_registers=2", "data.mean=[0.1, 0.2, 0.3]"})
          .string();
  // vit_digits.yaml averages patches, is wider and has another mean.
  const auto settled = [](const std::string& init, SupervisedConfig& settings) {
    Config config(settings);
    config.read(kRecipes / "vit_digits.yaml", {"init='" + init + "'", "model=from_init", "model.drop_rate=0.2"});
    const auto notes = settings.settle(config);
    CHECK(settings.settle(config).empty());  // once is enough
    return notes.at(0);
  };
  SupervisedConfig settings;
  const std::string note = settled(start, settings);
  CHECK(note.starts_with("[init] model and pixels of " + start + ": model.arch vit_tiny, model.embed_dim 32, "));
  CHECK(settings.model.global_pool == nn::Pool::token);
  CHECK(settings.model.embed_dim == 32);
  CHECK(settings.model.num_registers == 2);
  CHECK(settings.model.drop_rate == 0.2);
  CHECK(settings.data.mean == std::vector<double>{0.1, 0.2, 0.3});
  CHECK(settings.build()->begin().size() == 1);

  nn::VitConfig config{.img_size = 8, .patch_size = 2, .num_classes = 3, .embed_dim = 48};
  config.depth = config.num_heads = 2;
  config.mlp_ratio = 3;
  const nn::VisionTransformer other(nn::Scope(5), config);
  PublishedModel published;
  published.architecture = vit_architecture(config);
  published.weights = nn::state(other);
  published.preprocessing.mean = {0.5, 0.5, 0.5};
  published.preprocessing.crop = published.preprocessing.size = 8;
  write_model(published, "hf", temp.path() / "model");
  SupervisedConfig of_model;
  settled((temp.path() / "model").string(), of_model);
  CHECK(of_model.model.embed_dim == 48);
  CHECK(of_model.model.mlp_ratio == 3);
  CHECK(of_model.model.global_pool == nn::Pool::token);
  CHECK(of_model.data.mean == std::vector<double>{0.5, 0.5, 0.5});
  CHECK_NOTHROW(of_model.build()->begin());

  SupervisedConfig nothing;
  CHECK_THROWS_WITH_AS(settled("", nothing), doctest::Contains("give init=RUN or FILE"), ConfigError);
  CHECK_THROWS_WITH_AS(small_digits({"model.arch=from_init"}), doctest::Contains("from_init"), ConfigError);
  config.qk_norm = true;
  CHECK_THROWS_WITH_AS(model_section(config), doctest::Contains("qk_norm"), ConfigError);
}

TEST_CASE("weights that do not fit say which keys make them fit") {
  const test::TemporaryFolder temp;
  const std::string start =
      trained_digits(temp.path() / "start", {"train.epochs=1", "model.global_pool=token", "data.mean=[0.1, 0.2, 0.3]"})
          .string();
  const auto error_of = [&](std::vector<std::string> changes) -> std::string {
    changes.push_back("init='" + start + "'");
    try {
      small_digits(changes)->begin();
      return "";
    } catch (const IoError& error) {
      return error.what();
    }
  };
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"model.global_pool=avg"}, "the weights have a class token: model.global_pool=token"},
      {{"model.depth=3"}, "their depth is 2, the model's 3: model.depth=2"},
      {{"model.embed_dim=48"}, "their width is 32, the model's 48: model.embed_dim=32"},
      {{"model.layerscale_init=1e-4"}, "they have no LayerScale: model.layerscale_init=0"},
      {{"model.num_registers=1"}, "they have 0 register tokens: model.num_registers=0"}};
  for (const auto& [keys, expected] : cases) {
    std::vector<std::string> changes = keys;
    const std::string hint = expected;
    CAPTURE(hint);
    if (changes[0] != "model.global_pool=avg") changes.emplace_back("model.global_pool=token");
    const std::string error = error_of(changes);
    CHECK(error.find("does not fit the model") != std::string::npos);
    CHECK(error.find(hint) != std::string::npos);
    CHECK(error.find("model=from_init takes the whole architecture") != std::string::npos);
  }
  const auto fits = small_digits({"init='" + start + "'", "model.global_pool=token"})->begin();
  REQUIRE(fits.size() == 2);
  CHECK(fits[1].find("was trained on pixels of mean [0.1, 0.2, 0.3]") != std::string::npos);
}

TEST_CASE("frozen parameters stay as they are, have no optimizer state, and go on bit for bit") {
  const test::TemporaryFolder temp;
  const std::vector<std::string> changes = {
      "model.freeze=[patch_embed, pos_embed, blocks.*.attn, -blocks.1.attn.proj.bias]"};
  check_resumes(changes, temp.path());
  const auto recipe = small_digits(changes);
  const TensorMap before = recipe->state();
  const TensorMap after = sub_map(load_checkpoint(temp.path() / "whole/checkpoints/last.h5").tensors, "recipe");
  for (const auto& [name, tensor] : before) {
    if (!name.starts_with("model/")) continue;
    const bool frozen = name != "model/blocks.1.attn.proj.bias" &&
                        (name.find("_embed") != std::string::npos || name.find(".attn.") != std::string::npos);
    const std::string shown = name;
    CAPTURE(shown);
    CHECK((test::max_difference(tensor, after.at(name)) == 0) == frozen);
    CHECK(after.contains("optimizer/" + name.substr(6) + "/exp_avg") == !frozen);
  }
  CHECK(recipe->headline()[1].find(" of them trained") != std::string::npos);
  CHECK(small_digits({"model.freeze=[\"*\", -head]"})->headline()[1].ends_with(", 330 of them trained"));
  CHECK_THROWS_WITH_AS(small_digits({"model.freeze=[block.1]"}),
                       doctest::Contains("'block.1' names no parameter of the model; did you mean 'blocks.1'?"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(small_digits({"model.freeze=[\"*\"]"}), doctest::Contains("no parameters"), ConfigError);
}

TEST_CASE("a frozen BatchNorm keeps its averages") {
  const std::vector<std::string> net = {"model={arch: resnet8, width: 8, small_images: true}",
                                        "model.patch_size=~",
                                        "model.embed_dim=~",
                                        "model.depth=~",
                                        "model.num_heads=~",
                                        "model.mlp_ratio=~",
                                        "model.drop_rate=0",
                                        "model.drop_path_rate=0",
                                        "model.global_pool=token"};
  std::vector<std::string> changes = net;
  changes.emplace_back("model.freeze=[bn1]");
  const auto recipe = small_digits(changes);
  TensorMap before;
  for (const auto& [name, tensor] : recipe->state()) before.emplace(name, tensor.clone());
  const auto batch = recipe->load({})->next();
  recipe->step(*batch, {.lr = 0.1});
  const TensorMap after = recipe->state();
  CHECK(test::max_difference(before.at("model/bn1.running_mean"), after.at("model/bn1.running_mean")) == 0);
  bool others = false;
  for (const auto& [name, tensor] : before)
    if (name.ends_with("running_mean")) others |= test::max_difference(tensor, after.at(name)) > 0;
  CHECK(others);
}

TEST_CASE("class weights weigh the loss of each image, balanced or as given") {
  const auto loss_of = [](const std::string& weights, const std::vector<std::string>& more = {}) {
    std::vector<std::string> changes = more;
    changes.push_back("loss.class_weights=" + weights);
    const auto recipe = small_digits(changes);
    const ag::RandomScope random(0, 0);
    return stat(test::first_step(*recipe, {.lr = 0}), "loss");
  };
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"train.accumulate=7"}}) {  // older name
    const double plain = loss_of("[]", more);
    CHECK(loss_of("[1, 1, 1, 1, 1, 1, 1, 1, 1, 1]", more) == doctest::Approx(plain));
    CHECK(loss_of("[2, 2, 2, 2, 2, 2, 2, 2, 2, 2]", more) == doctest::Approx(2 * plain));
    const double one = loss_of("[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]", more);
    CHECK(one > 0);
    CHECK(one + loss_of("[0, 1, 1, 1, 1, 1, 1, 1, 1, 1]", more) == doctest::Approx(plain));
  }
  CHECK(loss_of("balanced") == doctest::Approx(loss_of("[]")).epsilon(0.05));  // the digits are nearly balanced
  CHECK(loss_of("balanced") != loss_of("[]"));
  CHECK_THROWS_WITH_AS(small_digits({"loss.class_weights=[1, 2]"}), doctest::Contains("has 2 values for 10 classes"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(small_digits({"loss.class_weights=[1, 1, 1, 1, -1, 1, 1, 1, 1, 1]"}),
                       doctest::Contains("'-1' is no weight"), ConfigError);
  const test::TemporaryFolder temp;
  check_resumes({"loss.class_weights=balanced"}, temp.path());
}

TEST_CASE("compat: deit has the published learning rates") {
  const auto lr = [](const std::vector<std::string>& more) {
    std::vector<std::string> changes = {
        "optim.lr=1e-3",           "train.epochs=300",     "schedule.warmup_epochs=5",
        "schedule.warmup_lr=1e-6", "schedule.min_lr=1e-5", "schedule.warmup_prefix=false",
        "schedule.by=epoch"};
    changes.insert(changes.end(), more.begin(), more.end());
    const auto plan = small_digits(changes)->plan();
    return [f = plan.lr, n = double(plan.steps_per_epoch)](double epoch) { return f(epoch * n + n - 1); };
  };
  const auto published = lr({"compat=deit"}), fixed = lr({});
  const std::pair<int, double> expected[] = {{0, 1e-6},
                                             {1, 1e-6},
                                             {2, 2.008e-4},
                                             {3, 4.006e-4},
                                             {5, 8.002e-4},
                                             {6, 9.99321619703514e-4},
                                             {100, 7.569755007964338e-4},
                                             {299, 1.0108561679951e-5}};
  for (const auto& [number, rate] : expected) {
    const auto epoch = number;
    CAPTURE(epoch);
    CHECK(published(epoch) == doctest::Approx(rate).epsilon(1e-12));
    if (epoch > 0) CHECK(fixed(epoch - 1) == doctest::Approx(rate).epsilon(1e-12));
  }
}

TEST_CASE("a batch in shards has the gradient of the whole") {
  const auto whole = small_digits({"model.drop_rate=0", "model.drop_path_rate=0"});
  const auto parts = small_digits({"model.drop_rate=0", "model.drop_path_rate=0", "train.shards=7"});
  const Stats a = test::first_step(*whole), b = test::first_step(*parts);
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
  CHECK_THROWS_WITH_AS(small_digits({"train.batch_size=2000"}), doctest::Contains("more than the 1437 training images"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(small_digits({"train.shards=2"}), doctest::Contains("2 does not divide train.batch_size 119"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(small_digits({"model.arch=resnet20"}), doctest::Contains("those are for vision transformers"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(small_digits({"data.auto_augment=rand-x9"}), doctest::Contains("rand-x9"), ConfigError);
  CHECK_THROWS_WITH_AS(small_digits({"model.width=8"}), doctest::Contains("those are for ResNets"), ConfigError);
  CHECK_THROWS_WITH_AS(small_digits({"schedule.warmup_epochs=2"}), doctest::Contains("leaves nothing"), ConfigError);
  CHECK_THROWS_WITH_AS(small_digits({"train.mixup=1"}), doctest::Contains("119 is odd"), ConfigError);
  CHECK_THROWS_WITH_AS(small_digits({"distillation.kind=hard"}), doctest::Contains("kind hard needs a teacher"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(small_digits({"model.distilled=true"}), doctest::Contains("needs global_pool: token"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(small_digits({"model.distilled=true", "model.global_pool=token"}),
                       doctest::Contains("needs distillation.kind soft or hard"), ConfigError);
}

TEST_CASE("the card counts parameters and operations") {
  const ModelCard card = small_digits()->cards().at(0);
  // patch 12 * 32 + 32, positions 16 * 32, two blocks, norm, head
  const int64_t block = 2 * 64 + (32 * 96 + 96) + (32 * 32 + 32) + (32 * 64 + 64) + (64 * 32 + 32);
  CHECK(card.parameters == 416 + 512 + 2 * block + 64 + 330);
  const int64_t tokens = 16, block_macs = tokens * (32 * 96 + 32 * 32 + 2 * 32 * 64) + 2 * tokens * tokens * 32;
  CHECK(card.flops == 2 * (tokens * 12 * 32 + 2 * block_macs + 320));
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
  for (const auto& [method, config] : built_in_methods()) {
    const auto settings = config();
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
  for (const ScheduleKind name :
       {ScheduleKind::cosine, ScheduleKind::linear, ScheduleKind::step, ScheduleKind::constant}) {
    CAPTURE(int(name));
    schedule.name = name;
    const auto lr = build_schedule(schedule, 0.1, 5, 10);
    CHECK(lr(0) == doctest::Approx(0.01));
    CHECK(lr(9) == doctest::Approx(0.1));
    CHECK(lr(49) <= 0.1);
  }
  schedule.name = ScheduleKind::cosine;
  CHECK(build_schedule(schedule, 0.1, 5, 10)(49) < 0.001);
}
