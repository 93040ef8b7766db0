#include "tests/support/close.h"
#include "tests/support/golden.h"
#include "tests/support/reference.h"
#include "vitrail/autograd/macs.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/rng.h"
#include "vitrail/nn/models/resnet.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cmath>

namespace vitrail::nn {
namespace {

using Json = nlohmann::json;
using test::fill_golden;
using test::golden;

VitConfig tiny() {
  VitConfig c{.img_size = 8, .patch_size = 4, .num_classes = 5, .embed_dim = 8};
  c.depth = 2;
  c.num_heads = 2;
  return c;
}

Tensor golden_image(DType dtype) {
  std::vector<double> values(3 * 8 * 8);
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(0.11 * double(i));
  return tensor(values, {1, 3, 8, 8}).to(dtype);
}

Tensor numbers(const Json& list) {
  const auto values = list.get<std::vector<double>>();
  return tensor(values, {int64_t(values.size())});
}

}  // namespace

TEST_CASE("the tiny ViT gives the published outputs and gradients") {
  const Json file = golden();
  const Json& expected = file["tiny_vit"];
  for (const DType dtype : {DType::f64, DType::f32}) {
    CAPTURE(dtype);
    const double tolerance = dtype == DType::f64 ? 1e-9 : 1e-5;
    VisionTransformer model(Scope(0, dtype), tiny());
    fill_golden(model, expected["tensor_order"]);
    ag::Tape tape;
    const Var feature = model.features(golden_image(dtype)), logits = model.classify(feature);
    const Var loss = cross_entropy(logits, tensor<int64_t>({2}, {1}), {.smoothing = 0.1});
    CHECK(test::max_difference(feature.value().reshape({8}), numbers(expected["cls_feature"])) < tolerance);
    CHECK(test::max_difference(logits.value().reshape({5}), numbers(expected["logits"])) < tolerance);
    CHECK(std::abs(loss.value().item() - expected["loss"].get<double>()) < tolerance);
    tape.backward(loss);
    for (const auto& item : expected["grads"].items()) {
      const std::string& name = item.key();
      const auto& g = item.value();
      CAPTURE(name);
      const Tensor& grad = model.parameter(name).grad();
      CHECK(core::norm(grad) == doctest::Approx(g["l2"].get<double>()).epsilon(1e-4));
      CHECK(test::max_difference(grad.reshape({-1}).slice(0, 0, 3), numbers(g["first3"])) < tolerance);
    }
    const Tensor weights = model.last_self_attention(golden_image(dtype));
    for (int64_t h = 0; h < 2; ++h)
      CHECK(test::max_difference(weights.select(0, 0).select(0, h).select(0, 0),
                                 numbers(expected["last_block_cls_attention"][size_t(h)])) < tolerance);
  }
}

TEST_CASE("variants have the published parameter counts") {
  struct Row {
    const char* name;
    int64_t patch, size, with_head, without;
  };
  const Row rows[] = {
      {"vit_tiny", 16, 224, 5'717'416, 5'524'416},      {"vit_small", 32, 224, 22'878'952, 22'493'952},
      {"vit_small", 16, 224, 22'050'664, 21'665'664},   {"vit_small", 8, 224, 22'055'272, 21'670'272},
      {"vit_base", 32, 224, 88'224'232, 87'455'232},    {"vit_base", 16, 224, 86'567'656, 85'798'656},
      {"vit_base", 16, 384, 86'859'496, 86'090'496},    {"vit_large", 32, 224, 306'535'400, 305'510'400},
      {"vit_large", 16, 224, 304'326'632, 303'301'632}, {"vit_huge", 14, 224, 632'045'800, 630'764'800},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    VitConfig c = vit_variant(row.name);
    c.patch_size = row.patch;
    c.img_size = row.size;
    CHECK(VisionTransformer(Scope().without_values(), c).parameter_count() == row.with_head);
    c.num_classes = 0;
    CHECK(VisionTransformer(Scope().without_values(), c).parameter_count() == row.without);
  }
  const std::pair<Row, int64_t> distilled[] = {{{"vit_tiny", 16, 224, 0, 0}, 5'910'800},
                                               {{"vit_small", 16, 224, 0, 0}, 22'436'432},
                                               {{"vit_base", 16, 224, 0, 0}, 87'338'192},
                                               {{"vit_base", 16, 384, 0, 0}, 87'630'032}};
  for (const auto& [published, expected] : distilled) {
    const Row& row = published;
    CAPTURE(row.name);
    VitConfig c = vit_variant(row.name);
    c.img_size = row.size;
    c.distilled = true;
    CHECK(VisionTransformer(Scope().without_values(), c).parameter_count() == expected);
  }
  VitConfig v2 = vit_variant("vit_small");  // DINOv2 with registers: positions for 518 pixels
  v2.patch_size = 14;
  v2.img_size = 518;
  v2.num_classes = 0;
  v2.layerscale_init = 1e-5;
  v2.mask_token = true;
  v2.num_registers = 4;
  CHECK(VisionTransformer(Scope().without_values(), v2).parameter_count() == 22'058'112);
  CHECK_THROWS_WITH_AS(vit_variant("vit_smal"), doctest::Contains("known are vit_tiny, vit_small"), ConfigError);
}

TEST_CASE("multiply-accumulates are those of the papers") {
  VitConfig c = vit_variant("vit_tiny");
  VisionTransformer model(Scope(), c);
  const auto rows = summarize([&] { model(zeros({1, 3, 224, 224}), Compute::all); });
  // N 3 P^2 D + L (12 T D^2 + 2 T^2 D) + D C: 1.254 GMAC
  CHECK(rows.front().macs == 196 * 768 * 192 + 12 * (12 * 197 * 192 * 192 + 2 * 197 * 197 * 192) + 192 * 1000);
}

TEST_CASE("checkpointed blocks give the same gradients") {
  VitConfig c = tiny();
  c.drop_path_rate = 0.4;
  c.drop_rate = 0.1;
  SUBCASE("masked") {}
  SUBCASE("on a subset of the batch") { c.drop_path_mode = DropPathMode::subset; }
  const Tensor images = Rng(3, "images").normal({6, 3, 8, 8}, 0, 1, DType::f64), labels = arange(6).slice(0, 0, 6);
  TensorMap grads[2];
  for (const bool checkpointed : {false, true}) {
    VisionTransformer model(Scope(1, DType::f64), c);
    model.checkpoint_blocks = checkpointed;
    const ag::RandomScope random(1, 2);
    ag::Tape tape;
    tape.backward(cross_entropy(model(images), core::affine(labels.to(DType::f64), 0.5).to(DType::i64)));
    for (const Parameter* p : model.parameters()) grads[checkpointed][p->name()] = p->grad().clone();
  }
  for (const auto& item : grads[0]) {
    CAPTURE(item.first);
    CHECK(test::max_difference(item.second, grads[1].at(item.first)) < 1e-12);
  }
}

TEST_CASE("leaving undone what nothing reads changes neither result nor gradients") {
  for (const bool checkpoint : {false, true})
    for (const bool qk_norm : {false, true}) {
      CAPTURE(checkpoint);
      VitConfig c = tiny();
      c.distilled = qk_norm != checkpoint;
      c.qk_norm = qk_norm;
      c.qkv_bias = !qk_norm;
      c.num_registers = 2;
      c.layerscale_init = 0.5;
      c.drop_path_rate = 0.4;
      VisionTransformer model(Scope(3, DType::f64), c);
      model.checkpoint_blocks = checkpoint;
      const Tensor images = Rng(1, "images").normal({4, 3, 8, 8}, 0, 1, DType::f64);
      const auto run = [&](bool all) {
        model.zero_grad();
        const ag::RandomScope random(5, 1);
        ag::Tape tape;
        const Var input = tape.input(images);
        const auto feature_of_all = [&] {
          return reshape(slice(model.forward_tokens(input), 1, 0, model.config.read_tokens()),
                         {4, model.feature_dim()});
        };
        const Var feature = all ? feature_of_all() : model.features(input);
        const Var logits = model.classify(feature);
        tape.backward(cross_entropy(logits, tensor<int64_t>({0, 1, 2, 1}, {4})));
        std::vector<Tensor> results{logits.value(), tape.grad(input).contiguous()};
        for (const ag::Parameter* p : model.parameters()) results.push_back(p->grad());
        return results;
      };
      const auto all = run(true), needed = run(false);
      REQUIRE(all.size() == needed.size());
      for (size_t i = 0; i < all.size(); ++i) {
        CAPTURE(i);
        REQUIRE(needed[i].defined());
        CHECK(test::max_difference(all[i], needed[i]) < 1e-12);
      }
    }
}

TEST_CASE("a distilled transformer has a head for each of two tokens, and classifies by their mean") {
  VitConfig c = tiny();
  c.distilled = true;
  c.num_registers = 3;
  VisionTransformer model(Scope(2), c);
  const Tensor images = Rng(1, "images").normal({4, 3, 8, 8}, 0, 1);
  CHECK(model.prefix_tokens() == 5);
  CHECK(model.pos_embed->shape() == Shape{1, 2 + 4, 8});
  const Var features = model.features(images);
  const std::vector<Var> heads = model.heads(features);
  REQUIRE(heads.size() == 2);
  CHECK(features.shape() == Shape{4, model.feature_dim()});
  const Tensor tokens = model.forward_tokens(images).value();
  CHECK(tokens.size(1) == 5 + 4);
  const Tensor expected = model.head_dist->forward(tokens.select(1, 1)).value();
  CHECK(test::max_difference(heads[1].value(), expected) < 1e-6);
  const Tensor mean = core::affine(core::add(heads[0].value(), heads[1].value()), 0.5);
  CHECK(test::max_difference(model.logits(images).value(), mean) < 1e-6);
  CHECK(test::max_difference(heads[0].value(), heads[1].value()) > 1e-4);
  for (const char* name : {"dist_token", "head_dist.weight", "head_dist.bias"}) CHECK_NOTHROW(model.parameter(name));

  c.pool = Pool::avg;
  CHECK_THROWS_WITH_AS((VisionTransformer{Scope(), c}), doctest::Contains("distilled: true needs"), ConfigError);
}

TEST_CASE("tokens are prefix, patches and their grid") {
  VitConfig c = tiny();
  c.num_registers = 2;
  c.mask_token = true;
  VisionTransformer model(Scope(2), c);
  model.mask_token->update([](Tensor& t) { t.fill_(0.5); });
  TokenBackbone* const backbone = static_cast<Backbone&>(model).token_backbone();
  REQUIRE(backbone == &model);
  const Tensor images = Rng(1, "images").normal({2, 3, 8, 16}, 0, 1);
  const Tokens t = backbone->tokens(images);
  CHECK(t.grid == ag::Grid{2, 4});
  CHECK(t.prefix.shape() == Shape{2, backbone->prefix_tokens(), 8});
  CHECK(t.patches.shape() == Shape{2, 8, 8});
  CHECK(backbone->patch_size() == 4);
  CHECK(test::max_difference(core::concat({t.prefix.value(), t.patches.value()}, 1),
                             model.forward_tokens(images).value()) == 0);

  SUBCASE("a mask puts the mask token in the place of a patch") {
    Tensor masks = zeros({2, 8}, DType::u8);
    CHECK(test::max_difference(backbone->tokens(images, masks).patches.value(), t.patches.value()) == 0);
    masks.data<uint8_t>()[3] = 1;
    const Tensor masked = backbone->tokens(images, masks).patches.value();
    CHECK(test::max_difference(masked.select(0, 0), t.patches.value().select(0, 0)) > 1e-4);
    CHECK(test::max_difference(masked.select(0, 1), t.patches.value().select(0, 1)) < 1e-6);
    CHECK_THROWS_WITH_AS(backbone->tokens(images, zeros({2, 7}, DType::u8)), doctest::Contains("needs masks u8 [B, N]"),
                         ShapeError);
    VisionTransformer plain(Scope(2), tiny());
    CHECK_THROWS_WITH_AS(plain.tokens(images, masks), doctest::Contains("without mask_token"), ConfigError);
  }
  SUBCASE("of the last blocks, with the final norm or without") {
    const auto normed = backbone->intermediate_tokens(images, 2), raw = backbone->intermediate_tokens(images, 2, false);
    REQUIRE(normed.size() == 2);
    CHECK(test::max_difference(normed[1].patches.value(), t.patches.value()) == 0);
    const Tensor blocks = model.forward_blocks(images).value();
    CHECK(test::max_difference(raw[1].patches.value(), blocks.slice(1, 3, 11)) == 0);
    CHECK_THROWS_WITH_AS(backbone->intermediate_tokens(images, 9), doctest::Contains("asked for the last 9 of"),
                         ConfigError);
  }
  ResNet other(Scope(), resnet_variant("resnet20"));
  CHECK(other.token_backbone() == nullptr);
  CHECK(other.patch_size() == 1);
  CHECK_THROWS_WITH_AS(as_vit(other, "attention", "run"), doctest::Contains("[attention] run holds no vision"),
                       ConfigError);
}

TEST_CASE("all tokens or those that are needed: one result, other costs") {
  VisionTransformer model(Scope(2), tiny());
  model.eval();
  const Tensor images = Rng(1, "images").normal({2, 3, 8, 8}, 0, 1);
  const int64_t start = ag::macs();
  const Tensor needed = model(images).value();
  const int64_t middle = ag::macs();
  CHECK(test::max_difference(model(images, Compute::all).value(), needed) < 1e-6);
  CHECK(ag::macs() - middle > middle - start);
  const auto rows = summarize([&] { model(images); });  // looking does not change the work
  CHECK(rows.front().macs == middle - start);
}

TEST_CASE("wrong sizes are refused by name") {
  VisionTransformer model{Scope(), tiny()};
  CHECK_THROWS_WITH_AS(model(zeros({1, 1, 8, 8})), doctest::Contains("needs images [B, 3, H, W]"), ShapeError);
  CHECK_THROWS_AS(model(zeros({1, 3, 9, 8})), ShapeError);
  VitConfig c = tiny();
  c.patch_size = 3;
  CHECK_THROWS_WITH_AS((VisionTransformer{Scope(), c}), doctest::Contains("img_size 8 is not a multiple"), ConfigError);
  c = tiny();
  c.num_heads = 3;
  CHECK_THROWS_WITH_AS((VisionTransformer{Scope(), c}), doctest::Contains("not a multiple of num_heads 3"),
                       ConfigError);
}

TEST_CASE("in bf16 every option of the model trains close to f32") {
  const auto with = [](auto&& change) {
    VitConfig c = tiny();
    change(c);
    return c;
  };
  const VitConfig configs[] = {
      tiny(),
      with([](VitConfig& c) { c.qk_norm = true; }),
      with([](VitConfig& c) { c.layerscale_init = 0.1, c.num_registers = 2; }),
      with([](VitConfig& c) { c.pre_norm = true, c.ffn = Ffn::swiglu; }),
      with([](VitConfig& c) { c.pool = Pool::avg, c.fc_norm = true, c.class_token = false; }),
  };
  const Tensor images = Rng(3, "images").normal({4, 3, 8, 8}, 0, 1), labels = tensor<int64_t>({0, 1, 2, 3}, {4});
  for (const VitConfig& config : configs) {
    Tensor logits[2], grads[2];
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const bool half = dtype == DType::bf16;
      VisionTransformer model{Scope(1), config};
      const ag::Autocast autocast(dtype);
      ag::Tape tape;
      const Var y = model(images);
      CHECK(y.dtype() == DType::f32);
      logits[half] = y.value();
      tape.backward(cross_entropy(y, labels));
      for (const Parameter* p : model.parameters()) CHECK(p->grad().dtype() == DType::f32);
      grads[half] = model.parameter("patch_embed.proj.weight").grad();
    }
    CHECK(test::relative_error(logits[1], logits[0]) < 0.05);
    CHECK(test::relative_error(grads[1], grads[0]) < 0.1);
  }
}

TEST_CASE("ResNets have the published parameter counts and shapes") {
  const auto count = [](const char* name, int64_t classes) {
    ResNetConfig c = resnet_variant(name);
    c.num_classes = classes;
    return ResNet(Scope().without_values(), c).parameter_count();
  };
  CHECK(count("resnet18", 1000) == 11'689'512);
  CHECK(count("resnet34", 1000) == 21'797'672);
  CHECK(count("resnet50", 1000) == 25'557'032);
  ResNetConfig c = resnet_variant("resnet20");
  c.num_classes = 10;
  ResNet model{Scope(1), c};
  CHECK(model(zeros({2, 3, 32, 32})).shape() == Shape{2, 10});
  CHECK(model.features(zeros({2, 3, 32, 32})).shape() == Shape{2, 64});
  CHECK(state(model).contains("layer2.0.downsample.1.running_mean"));
  ResNet large{Scope(1), resnet_variant("resnet18")};
  CHECK(large(zeros({1, 3, 64, 64})).shape() == Shape{1, 1000});
}

}  // namespace vitrail::nn
