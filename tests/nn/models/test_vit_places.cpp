// Vision transformers whose attention depends on the places of patches: windows and rotary positions.
#include "tests/support/close.h"
#include "vitrail/autograd/gradcheck.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/reference/matmul.h"
#include "vitrail/core/reference/rope.h"
#include "vitrail/core/rng.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"

#include <doctest/doctest.h>

#include <cmath>

namespace vitrail::nn {
namespace {

using test::max_difference;

VitConfig windowed() {
  VitConfig c{.img_size = 10, .patch_size = 2, .num_classes = 5, .embed_dim = 16};
  c.depth = 3;
  c.num_heads = 2;
  c.num_registers = 2;
  c.window = 2;
  c.global_every = 3;
  return c;
}
VitConfig rotary() {
  VitConfig c = windowed();
  c.window = c.global_every = 0;
  c.pos_embed = PosEmbed::rope;
  return c;
}
VitConfig both() {
  VitConfig c = windowed();
  c.pos_embed = PosEmbed::rope;
  c.qk_norm = true;
  return c;
}
/// Values that no option of a config leaves equal by chance.
void fill(ModuleBase& model) {
  for (Parameter* p : model.parameters())
    p->update([&](Tensor& t) { t.copy_(Rng(7, p->name()).normal(t.shape(), 0, 0.4, DType::f64)); });
}
Tensor images(int64_t height, int64_t width, DType dtype = DType::f64) {
  return Rng(1, "images").normal({2, 3, height, width}, 0, 1, dtype);
}

}  // namespace

TEST_CASE("every so many blocks are global, the others have windows") {
  VitConfig c;
  for (int64_t i = 0; i < 12; ++i) CHECK_FALSE(c.windowed(i));
  c.window = 14;
  for (int64_t i = 0; i < 12; ++i) CHECK(c.windowed(i));
  c.global_every = 3;  // ViTDet: blocks 2, 5, 8 and 11
  for (int64_t i = 0; i < 12; ++i) CHECK(c.windowed(i) == (i % 3 != 2));
}

TEST_CASE("a block with windows shows no attention between them, and prefix tokens see all") {
  VisionTransformer model(Scope(3, DType::f64), windowed());
  fill(model);
  int64_t blocks = 0;
  model.for_each_self_attention(images(10, 8), [&](int64_t block, const Tensor& weights) {
    CHECK(block == blocks++);
    REQUIRE(weights.shape() == Shape{2, 2, 3 + 20, 3 + 20});
    CHECK(max_difference(core::sum(weights, {3}), ones({2, 2, 23}, DType::f64)) < 1e-12);
    const Tensor mask = core::window_mask({.prefix = 3, .grid = {5, 4}, .side = 2}).to(DType::f64);
    const double hidden = core::sum(weights * core::affine(mask, -1, 1)).item();
    CHECK((hidden == 0) == (block != 2));
    CHECK(weights.to_vector()[22] > 0);
  });
  CHECK(blocks == 3);
  Tensor last;
  model.for_each_self_attention(images(10, 8), [&](int64_t, const Tensor& weights) { last = weights; });
  CHECK(max_difference(last, model.last_self_attention(images(10, 8))) == 0);
}

TEST_CASE("one window over the whole image is global attention") {
  VitConfig c = windowed(), global = windowed();
  c.window = 5;
  global.window = global.global_every = 0;
  for (const bool qk_norm : {false, true}) {
    c.qk_norm = global.qk_norm = qk_norm;
    VisionTransformer one(Scope(3, DType::f64), c), plain(Scope(3, DType::f64), global);
    fill(one);
    fill(plain);
    CHECK(max_difference(one(images(10, 10)).value(), plain(images(10, 10)).value()) < 1e-12);
    CHECK(max_difference(one(images(20, 10)).value(), plain(images(20, 10)).value()) > 1e-3);
  }
}

TEST_CASE("attention with rotary positions is the plain loop's, at any image size") {
  for (const bool qk_norm : {false, true}) {
    CAPTURE(qk_norm);
    Attention layer(Scope(3, DType::f64), {.dim = 16, .num_heads = 2, .qk_norm = qk_norm});
    fill(layer);
    const Tensor x = Rng(1, "x").normal({2, 3 + 12, 16}, 0, 2, DType::f64);
    const Places places{3, {4, 3}, core::make_rope({4, 3}, 8, 100, DType::f64)};
    const Tensor packed = layer.qkv(x).value().reshape({2, 15, 3, 2, 8}).permute({2, 0, 3, 1, 4});
    const auto part = [&](int64_t i, auto& norm) {
      const Tensor heads = packed.select(0, i).contiguous();
      return reference::rope(norm ? (*norm)(heads).value() : heads, 4, 3, 100);
    };
    const Tensor q = part(0, layer.q_norm), k = part(1, layer.k_norm), v = packed.select(0, 2);
    const Tensor expected = layer.proj(reference::attention(q, k, v, 1 / std::sqrt(8.0), false)).value();
    CHECK(max_difference(layer(x, {}, places).value(), expected) < 1e-12);
    CHECK(max_difference(layer(x, {.first = 2, .places = {}}, places).value(), expected.slice(1, 0, 2)) < 1e-12);
    CHECK(max_difference(layer(x, {.first = 9, .places = {}}, places).value(), expected.slice(1, 0, 9)) < 1e-12);
    CHECK(max_difference(layer(x).value(), expected) > 1e-3);
    CHECK(max_difference(layer.weights(x, places), reference::attention_weights(q, k, 1 / std::sqrt(8.0), false)) <
          1e-12);
  }
}

TEST_CASE("a model with rotary positions has no table, and takes images of other sizes") {
  VisionTransformer model(Scope(3, DType::f64), rotary());
  fill(model);
  CHECK_FALSE(state(model).contains("pos_embed"));
  CHECK_THROWS_WITH_AS(model.positions({5, 5}), doctest::Contains("no table of positions"), ConfigError);
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{10, 10}, {14, 6}, {2, 2}})
    CHECK(model(images(height, width)).shape() == Shape{2, 5});
  // Without positions, the patches of an image could be shuffled.
  const Tensor image = images(10, 10), upside_down = core::flip(image, {2});
  VitConfig one = rotary();
  one.patch_size = 1;
  one.img_size = 10;
  VisionTransformer pixels(Scope(3, DType::f64), one);
  fill(pixels);
  CHECK(max_difference(pixels(image).value(), pixels(upside_down).value()) > 1e-3);
}

TEST_CASE("windows and rotary positions leave results alone where work is left out or done again") {
  for (const VitConfig& c : {windowed(), rotary(), both()}) {
    Tensor logits[3], grads[3];
    for (int way = 0; way < 3; ++way) {  // needed tokens alone; all tokens; recomputed blocks
      VisionTransformer model(Scope(3, DType::f64), c);
      fill(model);
      model.checkpoint_blocks = way == 2;
      ag::Tape tape;
      const Var y = model(images(10, 14), way == 1 ? Compute::all : Compute::needed);
      logits[way] = y.value();
      tape.backward(cross_entropy(y, tensor<int64_t>({1, 4}, {2})));
      grads[way] = model.parameter("patch_embed.proj.weight").grad();
      CHECK(core::norm(grads[way]) > 0);
    }
    for (int way = 1; way < 3; ++way) {
      CHECK(max_difference(logits[way], logits[0]) < 1e-12);
      CHECK(max_difference(grads[way], grads[0]) < 1e-12);
    }
  }
}

TEST_CASE("the gradients of models with windows and rotary positions match central differences") {
  for (VitConfig c : {windowed(), rotary(), both()}) {
    c.img_size = 6;
    c.depth = 2;
    c.global_every = c.window > 0 ? 2 : 0;
    c.embed_dim = 8;
    VisionTransformer model(Scope(3, DType::f64), c);
    fill(model);
    const ag::GradReport report = ag::gradcheck(model, {Shape{1, 3, 6, 6}}, {.max_entries = 12});
    CAPTURE(ag::to_string(report));
    CHECK(report.ok);
  }
}

TEST_CASE("windows and rotary positions train close to f32 in bf16") {
  for (const VitConfig& c : {windowed(), rotary(), both()}) {
    Tensor logits[2], grads[2];
    for (const DType dtype : {DType::f32, DType::bf16}) {
      VisionTransformer model{Scope(1), c};
      const ag::Autocast autocast(dtype);
      ag::Tape tape;
      const Var y = model(images(10, 14, DType::f32));
      tape.backward(cross_entropy(y, tensor<int64_t>({1, 4}, {2})));
      logits[dtype == DType::bf16] = y.value();
      grads[dtype == DType::bf16] = model.parameter("patch_embed.proj.weight").grad();
    }
    CHECK(test::relative_error(logits[1], logits[0]) < 0.05);
    CHECK(test::relative_error(grads[1], grads[0]) < 0.1);
  }
}

TEST_CASE("the operations of a windowed model are counted by what its patches see") {
  VitConfig c = vit_variant("vit_tiny");
  const auto count = [&] {
    VisionTransformer model(Scope().without_values(), c);
    return summarize([&] { model(zeros({1, 3, 224, 224}), Compute::all); }).front().macs;
  };
  const int64_t global = count();
  c.window = 7;
  const int64_t pairs = 197 + 196 * (49 + 1);
  CHECK(global - count() == 12 * 2 * (197 * 197 - pairs) * 192);
}

TEST_CASE("options of places that do not fit together are refused by name") {
  const auto refused = [](auto&& change, const char* why) {
    VitConfig c = windowed();
    change(c);
    CHECK_THROWS_WITH_AS((VisionTransformer{Scope(), c}), doctest::Contains(why), ConfigError);
  };
  refused([](VitConfig& c) { c.window = 0; }, "global_every: 3 needs windows");
  refused([](VitConfig& c) { c.window = -1; }, "window is -1");
  refused([](VitConfig& c) { c.patch_drop_rate = 0.5; }, "dropped patches leave no grid, which window needs");
  refused([](VitConfig& c) { c.pos_embed = PosEmbed::rope, c.embed_dim = 12; }, "12 / num_heads 2 is 6");
}

}  // namespace vitrail::nn
