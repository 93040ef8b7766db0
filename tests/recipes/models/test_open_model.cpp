#include "tests/support/close.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/data/text/vocabulary.h"
#include "vitrail/nn/models/resnet.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/clip_family.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/published_model.h"
#include "vitrail/recipes/models/vit_family.h"

#include <span>
#include <string>
#include <vector>

using namespace vitrail;
using namespace vitrail::recipes;

namespace {

nn::VitConfig small_vit(int64_t num_classes) {
  nn::VitConfig config{.img_size = 8, .patch_size = 4, .num_classes = num_classes, .embed_dim = 16};
  config.depth = config.num_heads = 2;
  return config;
}

PublishedModel small_model(int64_t num_classes) {
  PublishedModel model;
  model.source = "small";
  model.layout = &nn::layout_named("timm");
  model.architecture = vit_architecture(small_vit(num_classes));
  model.weights = nn::state(nn::VisionTransformer(nn::Scope(1), small_vit(num_classes)));
  model.preprocessing = {.size = 9, .crop = 8};
  model.preprocessing.mean = {0.5, 0.4, 0.3};
  return model;
}

PublishedModel small_clip() {
  nn::ClipConfig config;
  config.vision = small_vit(6);
  config.vision.pre_norm = true;
  config.vision.head_bias = false;
  config.text.embed_dim = 16;
  config.text.depth = config.text.num_heads = 2;
  config.text.vocab_size = 515;
  config.text.out_dim = 6;
  PublishedModel model = small_model(0);
  model.layout = &nn::layout_named("open_clip");
  model.architecture = clip_architecture(config);
  model.weights = nn::state(nn::Clip(nn::Scope(1), config));
  return model;
}

const Tensor kImages = Rng(1, "images").uniform({2, 3, 8, 8}, -1, 1);

}  // namespace

TEST_CASE("open model: a classifier has features, tokens and logits, and reads no texts") {
  const OpenModel model = open_model(small_model(5));
  CHECK(model.image_features(kImages).shape() == Shape{2, 16});
  const nn::Tokens tokens = model.tokens(kImages);
  CHECK(tokens.patches.shape() == Shape{2, 4, 16});
  CHECK(tokens.prefix.shape() == Shape{2, 1, 16});
  CHECK(model.classify(kImages).shape() == Shape{2, 5});
  CHECK(model.settings == nullptr);
  CHECK_FALSE(model.averaged);
  expect_classes(model, "eval");
  expect_tokens(model, "pca");
  CHECK_THROWS_WITH_AS(expect_texts(model, "search"), doctest::Contains("[search] small has no text tower"),
                       ConfigError);
}

TEST_CASE("open model: images have three channels") {
  nn::VitConfig grey = small_vit(5);
  grey.in_chans = 1;
  PublishedModel model = small_model(5);
  model.architecture = vit_architecture(grey);
  model.weights = nn::state(nn::VisionTransformer(nn::Scope(1), grey));
  CHECK_THROWS_WITH_AS(open_model(model), doctest::Contains("small: the model is for images of 1 channels"), IoError);
}

TEST_CASE("open model: without a classifier there is nothing to evaluate as one") {
  const OpenModel model = open_model(small_model(0));
  CHECK_THROWS_WITH_AS(expect_classes(model, "eval"), doctest::Contains("[eval] small has no classifier"), ConfigError);
}

TEST_CASE("open model: a CLIP has features of images and texts in one space, and its tower's own") {
  PublishedModel published = small_clip();
  CHECK(open_model(published).text_features == nullptr);
  published.vocabulary = [] {
    const std::string merges = "#version: 0.2\na b\n";
    return data::Vocabulary::parse(std::as_bytes(std::span(merges)), "merges.txt");
  };
  const OpenModel model = open_model(published);
  CHECK(model.image_features(kImages).shape() == Shape{2, 6});
  CHECK(model.backbone->features(kImages).shape() == Shape{2, 16});
  CHECK(model.text_features(std::vector<std::string>{"a", "b", "c"}).shape() == Shape{3, 6});
  std::string words;
  for (int i = 0; i < 100; ++i) words += "c ";  // a symbol each; 75 fit
  CHECK(model.symbols_cut("a b") == 0);
  CHECK(model.symbols_cut(words) == 25);
  CHECK(model.logit_scale == doctest::Approx(1 / 0.07));
  CHECK(nn::state(*model.backbone).contains("blocks.1.mlp.fc2.bias"));  // no prefix
  CHECK(model.classify == nullptr);
  expect_texts(model, "search");
}

TEST_CASE("open model: the keys of a published model are those of data that it leaves open") {
  const OpenModel model = open_model(
      small_model(5), {"data.root=somewhere", "data.val_split=test", "batch_size=7", "seed=3", "precision=bf16"});
  CHECK(model.eval.data.root == "somewhere");
  CHECK(model.eval.data.val_split == "test");
  CHECK(model.eval.batch_size == 7);
  CHECK(model.eval.seed == 3);
  CHECK(model.eval.precision == DType::bf16);
  CHECK(model.eval.data.img_size == 8);
  CHECK(model.eval.data.mean == std::vector<double>{0.5, 0.4, 0.3});
  for (const char* key : {"data.img_size=16", "data.mean=[0,0,0]", "model.arch=vit_tiny"})
    CHECK_THROWS_WITH_AS(open_model(small_model(5), {key}), doctest::Contains("unknown key"), ConfigError);
}

TEST_CASE("open model: the network before training follows from the seed") {
  const OpenModel model = open_model(small_model(5), {"seed=3"});
  const Tensor expected = nn::VisionTransformer(nn::Scope(3), small_vit(0)).features(kImages).value();
  const auto untrained = model.untrained();
  untrained->eval();
  CHECK(test::max_difference(untrained->features(kImages).value(), expected) == 0);
}

TEST_CASE("open model: what was opened is published with the same weights, unless no layout has a place for it") {
  const PublishedModel before = small_clip(), after = to_published(open_model(before));
  CHECK(after.layout->name == "open_clip");
  CHECK(after.weights.size() == before.weights.size());
  for (const auto& [name, weight] : after.weights) CHECK(test::max_difference(weight, before.weights.at(name)) == 0);

  OpenModel resnet;
  resnet.source = "run";
  set_backbone(resnet, std::make_shared<nn::ResNet>(nn::Scope(1), nn::resnet_variant("resnet18")));
  CHECK_THROWS_WITH_AS(to_published(resnet), doctest::Contains("run is not a vision transformer or a CLIP"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(expect_tokens(resnet, "pca"), doctest::Contains("[pca] run has no patch tokens"), ConfigError);
}
