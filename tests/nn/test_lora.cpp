#include "tests/support/close.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/memory.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/gradcheck.h"
#include "vitrail/nn/linear.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"

#include <doctest/doctest.h>

#include <cmath>

namespace vitrail::nn {
namespace {

/// An adapter as training leaves it: lora_b is not zero.
void fill_adapters(ModuleBase& model) {
  Rng rng(5, "lora");
  for (Linear* layer : model.modules<Linear>())
    if (layer->lora_b) layer->lora_b->update([&](Tensor& t) { t.copy_(rng.normal(t.shape(), 0, 0.3, t.dtype())); });
}

VitConfig small() {
  VitConfig c;
  c.img_size = 8;
  c.patch_size = 4;
  c.num_classes = 3;
  c.embed_dim = 16;
  c.depth = 2;
  c.num_heads = 2;
  return c;
}

Tensor small_images(DType dtype) { return Rng(1, "images").normal({2, 3, 8, 8}, 0, 1, dtype); }

}  // namespace

TEST_CASE("the scale of an adapter is alpha / rank, or with rsLoRA alpha / sqrt(rank)") {
  CHECK(LoraConfig{.rank = 4, .alpha = 8}.scale() == doctest::Approx(2));
  CHECK(LoraConfig{.rank = 4, .alpha = 8, .use_rslora = true}.scale() == doctest::Approx(4));
}

TEST_CASE("gradients of adapters, of all outputs and of some") {
  struct Part final : Module<Part> {
    explicit Part(const Scope& scope) : Module(scope), layer(sub("layer"), 5, 6) {}
    Var forward(const Var& x) { return some ? layer.outputs(x, 2, 5) : layer(x); }
    Linear layer;
    bool some = false;
  };
  for (const int64_t rank : {1, 3}) {
    Part model(Scope(2, DType::f64));
    model.layer.add_lora({.rank = rank, .alpha = 7});
    fill_adapters(model);
    for (const bool some : {false, true}) {
      CAPTURE(rank);
      CAPTURE(some);
      model.some = some;
      const auto report = ag::gradcheck(model, {Shape{2, 3, 5}});
      CHECK_MESSAGE(report.ok, ag::to_string(report));
    }
  }
}

TEST_CASE("merged and unmerged models compute the same, and so do merged weights by name") {
  for (const bool rslora : {false, true}) {
    VisionTransformer model(Scope(3, DType::f64), small());
    const LoraConfig config{.rank = 3, .alpha = 5, .use_rslora = rslora};
    add_lora(model, {"attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2", "head"}, config);
    fill_adapters(model);
    model.eval();
    const Tensor images = small_images(DType::f64), adapted = model(images).value();
    TensorMap weights = state(model);
    CHECK(merge_lora(weights, config.scale()) == 9);
    VisionTransformer by_name(Scope(1, DType::f64), small());
    load_state(by_name, weights, "weights");
    by_name.eval();
    CHECK(test::max_difference(by_name(images).value(), adapted) < 1e-12);
    CHECK(test::max_difference(model(images).value(), adapted) == 0);  // merging by name has changed nothing in it
    CHECK(merge_lora(model) == 9);
    CHECK(test::max_difference(model(images).value(), adapted) < 1e-12);
  }
  TensorMap orphan = {{"x.lora_a", ones({1, 2})}, {"x.lora_b", ones({2, 1})}};
  CHECK_THROWS_WITH_AS(merge_lora(orphan, 1), doctest::Contains("'x' has an adapter, but no '.weight'"), IoError);
}

TEST_CASE("dropout of adapters: in training alone, of the adapter's input alone, from the step's seed") {
  Linear layer(Scope(1), 64, 8);
  layer.add_lora({.rank = 2, .alpha = 2, .dropout = 0.5});
  const Tensor x = Rng(2, "x").normal({4, 64}, 0, 1);
  const auto output = [&](uint64_t seed) {
    const ag::RandomScope random(seed, 0);
    return layer(x).value();
  };
  CHECK(test::max_difference(output(1), output(2)) == 0);  // lora_b is zero: the base has no dropout
  fill_adapters(layer);
  CHECK(test::max_difference(output(1), output(1)) == 0);
  CHECK(test::max_difference(output(1), output(2)) > 1e-3);
  layer.eval();
  CHECK(test::max_difference(output(1), output(2)) == 0);
}

TEST_CASE("a base rounded to bf16 computes the same in bf16, takes half the memory, and merges into f32") {
  VisionTransformer model(Scope(3), small());
  add_lora(model, {"attn.qkv"}, {.rank = 2});
  model.head->freeze(false);
  fill_adapters(model);
  model.eval();
  const ag::Autocast bf16(DType::bf16);
  const Tensor images = small_images(DType::f32), before = model(images).value();
  round_frozen(model);
  CHECK(test::max_difference(model(images).value(), before) == 0);
  CHECK(model.parameter("blocks.1.mlp.fc1.weight").value().dtype() == DType::bf16);
  CHECK(model.parameter("blocks.1.attn.qkv.lora_a").value().dtype() == DType::f32);
  CHECK(model.parameter("blocks.1.norm1.weight").value().dtype() == DType::f32);
  CHECK(model.parameter("head.weight").value().dtype() == DType::f32);  // it is trained

  ag::Tape tape;
  tape.backward(sum(model(images)));
  CHECK(model.parameter("blocks.0.attn.qkv.lora_b").grad().dtype() == DType::f32);
  CHECK_FALSE(model.parameter("blocks.0.attn.qkv.weight").grad().defined());

  // A change below bf16's precision is not lost.
  Linear layer(Scope(1), 8, 4);
  layer.add_lora({.rank = 1, .alpha = 1});
  round_frozen(layer);
  const Tensor base = layer.weight.value().to(DType::f32);
  layer.lora_a->update([](Tensor& t) { t.fill_(1e-3); });
  layer.lora_b->update([](Tensor& t) { t.fill_(1e-3); });
  layer.merge_lora();
  CHECK(layer.weight.value().dtype() == DType::f32);
  CHECK(test::max_difference(layer.weight.value(), core::affine(base, 1, 1e-6)) < 1e-8);
}

TEST_CASE("a frozen layer keeps no input for its weight") {
  const auto kept = [](bool frozen) {
    Linear layer(Scope(1), 32, 16);
    layer.freeze(frozen);
    ag::Tape tape;
    const Var x = tape.input(Rng(1, "x").normal({64, 32}, 0, 1));
    const int64_t before = memory::live_bytes();
    const Var y = layer(x * 2.0);
    return memory::live_bytes() - before - y.value().nbytes();
  };
  constexpr int64_t kInput = 64 * 32 * 4;
  CHECK(kept(true) < kInput);
  CHECK(kept(false) >= kInput);
}

}  // namespace vitrail::nn
