#include "tests/support/close.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/nn/embedding.h"
#include "vitrail/nn/linear.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/norm.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/optim/adamw.h"
#include "vitrail/optim/param_groups.h"

#include <doctest/doctest.h>

namespace vitrail::nn {
namespace {

VitConfig tiny() {
  VitConfig c;
  c.img_size = 4;
  c.patch_size = 2;
  c.num_classes = 3;
  c.embed_dim = 8;
  c.depth = 2;
  c.num_heads = 2;
  return c;
}

Tensor images(DType dtype = DType::f32) { return Rng(1, "images").normal({4, 3, 4, 4}, 0, 1, dtype); }

}  // namespace

TEST_CASE("LoRA starts as the base, trains its own parameters alone, and merges") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    CAPTURE(dtype);
    VisionTransformer model(Scope(3, dtype), tiny());
    const Tensor base = model(images(dtype)).value();
    CHECK(add_lora(model, {"attn.qkv", "mlp.fc2"}, {.rank = 2, .alpha = 8}) == 4);
    CHECK(model.parameter("blocks.1.attn.qkv.lora_a").shape() == Shape{2, 8});
    CHECK(model.parameter("blocks.1.attn.qkv.lora_b").shape() == Shape{24, 2});
    CHECK(test::max_difference(model(images(dtype)).value(), base) == 0);

    optim::AdamW optimizer(optim::decay_groups(model.parameters()));
    const auto before = model.parameter("blocks.0.attn.qkv.weight").value().clone();
    for (int step = 0; step < 5; ++step) {
      optimizer.zero_grad();
      ag::Tape tape;
      tape.backward(cross_entropy(model(images(dtype)), tensor<int64_t>({0, 1, 2, 1}, {4})));
      for (const Parameter* p : model.parameters()) {
        CAPTURE(p->name());
        CHECK(p->grad().defined() == (p->name().find(".lora_") != std::string::npos));
      }
      optimizer.step(1e-2, 0);
    }
    CHECK(test::max_difference(model.parameter("blocks.0.attn.qkv.weight").value(), before) == 0);
    const Tensor adapted = model(images(dtype)).value();
    CHECK(test::max_difference(adapted, base) > 1e-3);

    CHECK(merge_lora(model) == 4);
    CHECK(test::max_difference(model(images(dtype)).value(), adapted) < (dtype == DType::f64 ? 1e-12 : 1e-5));
    VisionTransformer plain(Scope(1, dtype), tiny());
    CHECK_NOTHROW(copy_state(plain, model));  // the adapters' names are gone
  }
}

TEST_CASE("LoRA names the layers that it could adapt") {
  VisionTransformer model(Scope(3), tiny());
  CHECK_THROWS_WITH_AS(add_lora(model, {"attn.q_proj"}),
                       doctest::Contains("no Linear is called 'attn.q_proj'; the model has blocks.0.attn.qkv"),
                       ConfigError);
  CHECK(model.parameter("head.weight").requires_grad());  // the model is unchanged
  CHECK_THROWS_WITH_AS(add_lora(model, {"head"}, {.rank = 0}), doctest::Contains("rank is 0"), ConfigError);
  add_lora(model, {"head"});
  CHECK_THROWS_WITH_AS(add_lora(model, {"head"}), doctest::Contains("'head' has an adapter already"), ConfigError);
}

TEST_CASE("frozen bf16 weights are shared with their file and computed with as they are") {
  struct Model final : Module<Model> {
    explicit Model(const Scope& scope)
        : Module(scope), table(sub("table"), 11, 32), norm(sub("norm"), 32), out(sub("out"), 32, 16) {}
    Var forward(const Tensor& ids) { return out(norm(table(ids)), DType::f32); }
    Embedding table;
    RMSNorm norm;
    Linear out;
  };
  Model source{Scope(1)};
  TensorMap file;
  for (const auto& [name, value] : state(source)) file[name] = value.to(DType::bf16);
  Model low(Scope(2).without_values().frozen(DType::bf16));
  share_state(low, file, "file");
  for (const Parameter* p : low.parameters()) {
    CAPTURE(p->name());
    CHECK(p->value().dtype() == DType::bf16);
    CHECK(p->value().shares_storage(file.at(p->name())));
    CHECK_FALSE(p->requires_grad());
  }
  const Tensor ids = tensor<int64_t>({0, 3, 10, 7}, {2, 2});
  load_state(source, file, "file");  // the same values, rounded
  for (const DType compute : {DType::f32, DType::bf16}) {
    CAPTURE(compute);
    const ag::Autocast autocast(compute);
    CHECK(test::relative_error(low(ids).value(), source(ids).value()) < (compute == DType::f32 ? 1e-6 : 1e-2));
  }
  CHECK_THROWS_WITH_AS(low.freeze(false), doctest::Contains("is bf16 and cannot be trained"), ConfigError);
  CHECK_THROWS_WITH_AS((Linear{Scope(1, DType::bf16), 2, 2}), doctest::Contains("bf16 and trained"), ShapeError);

  low.out.add_lora({.rank = 2, .alpha = 4});  // f32 adapters on a bf16 base
  ag::Tape tape;
  tape.backward(sum(low(ids)));
  CHECK(low.out.lora_b->grad().dtype() == DType::f32);
  CHECK_FALSE(low.out.weight.grad().defined());
}

TEST_CASE("RMSNorm divides by the root of the mean square") {
  RMSNorm layer(Scope(1, DType::f64), 3, 0.5);
  layer.weight.update([](Tensor& w) { w.copy_(tensor<double>({1, 2, -1}, {3})); });
  const Tensor x = tensor<double>({1, 2, 3}, {1, 3});
  const double rms = std::sqrt(14.0 / 3 + 0.5);
  CHECK(test::max_difference(layer(x).value(), tensor<double>({1 / rms, 4 / rms, -3 / rms}, {1, 3})) < 1e-12);
}

}  // namespace vitrail::nn
