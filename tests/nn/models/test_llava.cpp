#include "tests/support/close.h"
#include "vitrail/core/ops.h"
#include "vitrail/core/rng.h"
#include "vitrail/nn/gradcheck.h"
#include "vitrail/nn/models/llava.h"
#include "vitrail/nn/pixel_shuffle.h"
#include "vitrail/nn/state_io.h"

#include <doctest/doctest.h>

namespace vitrail::nn {
namespace {

constexpr int64_t kImage = kImagePlace, kNone = kNoLabel;

LlavaConfig tiny_llava() {
  LlavaConfig c;
  c.vision = {
      .img_size = 8, .patch_size = 4, .num_classes = 0, .embed_dim = 8, .depth = 3, .num_heads = 2, .num_registers = 1};
  c.text = {.vocab_size = 20, .embed_dim = 12, .hidden_dim = 16, .depth = 2, .num_heads = 3, .num_kv_heads = 1};
  return c;
}

/// Early fusion of the same sizes.
LlavaConfig tiny_fusion() {
  LlavaConfig c = tiny_llava();
  c.tower = VisionTower::patches;
  c.projector.depth = 0;
  return c;
}

Tensor random_images(int64_t count) { return Rng(3, "pictures").normal({count, 3, 8, 8}, 0, 1, DType::f64); }

/// Three texts of other lengths, one without an image.
std::vector<LabelledText> three_texts() {
  return {{{1, kImage, 7, 8, 2}, {kNone, kNone, kNone, 8, 2}},
          {{1, 5, 6}, {kNone, kNone, 6}},
          {{1, kImage, 4, kImage, 9, 3, 2}, {kNone, kNone, kNone, kNone, 9, 3, 2}}};
}

/// The batch's loss from the logits of all tokens.
double loss_of_logits(Llava& model, const Splice& batch, const Tensor& images) {
  const Tensor logits = model(batch, images).value().contiguous().reshape({-1, 20});
  return ag::cross_entropy(core::index_select(logits, 0, batch.predicting), batch.targets).item();
}

}  // namespace

TEST_CASE("features are the outputs of blocks, chosen as LLaVA does") {
  const Tensor x = random_images(2);
  const auto features = [&](const LlavaConfig& c) { return Llava(Scope(5, DType::f64), c).features(x).value(); };
  const LlavaConfig plain = tiny_llava();
  Llava model(Scope(5, DType::f64), plain);
  const std::vector<Tokens> blocks = model.vision_tower->intermediate_tokens(x, 3, false);

  CHECK(test::max_difference(features(plain), blocks[1].patches.value()) == 0);  // -2: the last but one
  CHECK(plain.image_tokens() == 4);
  LlavaConfig c = plain;
  c.feature_layers = {2};  // counted from the input of the blocks, which is 0
  CHECK(test::max_difference(features(c), blocks[1].patches.value()) == 0);
  c.feature_layers = {-1, 1};
  CHECK(test::max_difference(features(c), core::concat({blocks[2].patches.value(), blocks[0].patches.value()}, 2)) ==
        0);
  CHECK(c.feature_dim() == 16);
  c = plain;
  c.select = FeatureSelect::full;
  CHECK(test::max_difference(features(c), core::concat({blocks[1].prefix.value(), blocks[1].patches.value()}, 1)) == 0);
  CHECK(c.image_tokens() == 6);
  c = plain;
  c.feature_layers = {-1};
  c.feature_norm = true;
  CHECK(test::max_difference(features(c), model.vision_tower->tokens(x).patches.value()) < 1e-14);
  c.pixel_shuffle = 2;
  CHECK(test::max_difference(features(c), pixel_shuffle(model.vision_tower->tokens(x).patches, {2, 2}, 2).value()) <
        1e-14);
  CHECK(c.image_tokens() == 1);
  CHECK(c.feature_dim() == 32);
}

TEST_CASE("a margin that fills no patch is not read") {
  for (const LlavaConfig& c : {tiny_llava(), tiny_fusion()}) {
    Llava model(Scope(5, DType::f64), c);
    const Tensor wide = Rng(4, "wide").normal({2, 3, 11, 9}, 0, 1, DType::f64);
    CHECK(test::max_difference(model.features(wide).value(),
                               model.features(wide.slice(2, 0, 8).slice(3, 0, 8)).value()) == 0);
  }
}

TEST_CASE("blocks of the tower that no feature needs can be left out") {
  LlavaConfig c = tiny_llava();
  c.feature_layers = {1, -2};
  const LlavaConfig less = c.without_unread_blocks();
  CHECK(less.vision.depth == 2);
  CHECK(less.feature_layers == std::vector<int64_t>{-2, -1});
  Llava whole(Scope(5, DType::f64), c), model(Scope(5, DType::f64), less);
  CHECK(test::max_difference(whole.features(random_images(2)).value(), model.features(random_images(2)).value()) == 0);
}

TEST_CASE("the loss reads the labelled tokens, and padding changes nothing") {
  for (const bool fusion : {false, true}) {
    CAPTURE(fusion);
    Llava model(Scope(6, DType::f64), fusion ? tiny_fusion() : tiny_llava());
    const std::vector<LabelledText> texts = three_texts();
    const Tensor x = random_images(3);
    const Splice batch = model.splice(texts), left = model.splice(texts, 0, PadSide::left);
    CHECK(batch.supervised() == 6);
    const Var images = model.project(model.features(x));
    const double loss = model.loss(batch, images).item();
    CHECK(loss == doctest::Approx(loss_of_logits(model, batch, x)).epsilon(1e-13));
    CHECK(model.loss(left, images).item() == doctest::Approx(loss).epsilon(1e-13));

    double sum = 0;  // each text by itself
    int64_t image = 0;
    for (const LabelledText& text : texts) {
      const Splice one = model.splice(std::vector{text});
      const Var its = one.images > 0 ? slice(images, 0, image, image + one.images) : Var();
      sum += model.loss(one, its).item() * double(one.supervised());
      image += one.images;
    }
    CHECK(loss == doctest::Approx(sum / 6).epsilon(1e-13));
  }
}

TEST_CASE("LLaVA: gradients of images and of every parameter") {
  const std::vector<LabelledText> texts = three_texts();
  for (const bool fusion : {false, true}) {
    CAPTURE(fusion);
    LlavaConfig c = fusion ? tiny_fusion() : tiny_llava();
    c.feature_layers = {-2, -1};
    Llava model(Scope(8, DType::f64), c);
    const Splice batch = model.splice(texts);
    const auto loss = [&](const ag::Vars& v) { return model.loss(batch, model.project(model.features(v[0]))); };
    const ag::GradReport report = gradcheck(loss, std::vector<Tensor>{random_images(3)}, {}, model.parameters());
    CAPTURE(to_string(report));
    CHECK(report.ok);
  }
}

TEST_CASE("a batch without images gives the projector a gradient of zero") {
  Llava model(Scope(8, DType::f64), tiny_llava());
  const Splice batch = model.splice(std::vector<LabelledText>{{{1, 5, 6}, {kNone, kNone, 6}}});
  ag::Tape tape;
  tape.backward(model.loss(batch, {}));
  for (const Linear& linear : model.projector.linears) {
    REQUIRE(linear.weight.grad().defined());
    CHECK(core::norm(linear.weight.grad()) == 0);
  }
}

TEST_CASE("a frozen tower records nothing") {
  Llava model(Scope(8, DType::f64), tiny_llava());
  model.vision_tower->freeze();
  ag::Tape tape;
  const Var features = model.features(random_images(2));
  CHECK(!features.requires_grad());
  CHECK(model.project(features).requires_grad());
}

TEST_CASE("prefix: the patches of an image see each other, words see what came before") {
  LlavaConfig c = tiny_fusion();
  const auto change = [&](bool prefix) {  // of each token's output after a change of the last patch of the image
    c.prefix = prefix;
    Llava model(Scope(9, DType::f64), c);
    const Splice batch = model.splice(std::vector<LabelledText>{{{1, kImage, 7, 8}, {}}});
    Tensor changed = random_images(1);
    changed.slice(2, 7, 8).slice(3, 7, 8).fill_(3);
    const Tensor a = model(batch, random_images(1)).value(), b = model(batch, changed).value();
    std::vector<bool> differs;
    for (int64_t t = 0; t < batch.length(); ++t)
      differs.push_back(test::max_difference(a.select(1, t), b.select(1, t)) > 0);
    return differs;
  };
  // BOS, two patches, a row's end, two patches, a row's end, two words.
  CHECK(change(false) == std::vector<bool>{false, false, false, false, false, true, true, true, true});
  CHECK(change(true) == std::vector<bool>(9, true));

  Llava model(Scope(9, DType::f64), c);
  const auto loss = [&](const std::vector<LabelledText>& texts, int64_t count) {
    return model.loss(model.splice(texts), model.project(model.features(random_images(count)))).item();
  };
  CHECK_THROWS_WITH_AS(loss({{{1, kImage, 7}, {kNone, kNone, 7}}, {{1, 3, kImage, 7}, {kNone, kNone, kNone, 7}}}, 2),
                       doctest::Contains("end at 7 in the first text and at 8 in text 1"), ShapeError);
  CHECK_THROWS_WITH_AS(loss({{{1, 4, kImage, 7}, {kNone, 4, kNone, 7}}}, 1), doctest::Contains("seen in advance"),
                       ShapeError);
}

TEST_CASE("early fusion: each row of patches ends with a learned token") {
  Llava model(Scope(9, DType::f64), tiny_fusion());
  CHECK(model.config.image_tokens() == 6);
  const Tensor features = model.features(random_images(2)).value();
  CHECK(features.shape() == Shape{2, 6, 12});
  for (const int64_t place : {2, 5})
    CHECK(test::max_difference(features.select(1, place)[1], model.row_end->value()[0][0]) == 0);
  CHECK(test::max_difference(features.slice(1, 0, 2), (*model.patch_embed)(random_images(2)).value().slice(1, 0, 2)) ==
        0);
  CHECK(state(model).contains("patch_embed.proj.weight"));
}

TEST_CASE("what does not fit is refused with both numbers") {
  Llava model(Scope(6, DType::f64), tiny_llava());
  const Splice batch = model.splice(three_texts());
  const auto images = [](int64_t count, int64_t tokens) { return zeros({count, tokens, 12}, DType::f64); };
  CHECK_THROWS_WITH_AS(model.loss(batch, images(2, 4)), doctest::Contains("have 3 images, but 2 are given"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(model.loss(batch, images(3, 5)), doctest::Contains("[3, 5, 12]; the texts have room for [3, 4"),
                       ShapeError);
  const Splice unlabelled = model.splice(std::vector<LabelledText>{{{1, 2}, {}}});
  CHECK_THROWS_WITH_AS(model.loss(unlabelled, {}), doctest::Contains("no token of the 1 texts has a label"),
                       ShapeError);

  const auto built = [](auto&& change) {
    LlavaConfig c = tiny_llava();
    change(c);
    Llava(Scope().without_values(), c);
  };
  CHECK_THROWS_WITH_AS(built([](LlavaConfig& c) { c.feature_layers = {-4}; }),
                       doctest::Contains("feature layer -4: a tower of 3 blocks has the layers 1 to 3"), ConfigError);
  CHECK_THROWS_WITH_AS(built([](LlavaConfig& c) { c.feature_layers = {0}; }), doctest::Contains("feature layer 0"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(built([](LlavaConfig& c) { c.pixel_shuffle = 3; }), doctest::Contains("2 patches along a side"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(built([](LlavaConfig& c) { c.vision.num_classes = 3; }), doctest::Contains("3 classes"),
                       ConfigError);
}

}  // namespace vitrail::nn
