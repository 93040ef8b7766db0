// User-defined layers in a transformer: an attention variant, a norm and a feed-forward layer.
#include "tests/support/close.h"
#include "vitrail/autograd/gradcheck.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/optim/adamw.h"
#include "vitrail/optim/param_groups.h"

#include <doctest/doctest.h>

namespace vitrail::nn {
namespace {

/// Attention with a learned bias for each offset between two patches of a grid, as in Swin; the class token has none.
struct RelativeAttention final : SelfAttention {
  RelativeAttention(const Scope& scope, const AttentionConfig& c, int64_t grid_side)
      : SelfAttention(scope),
        heads(c.num_heads),
        side(grid_side),
        qkv(sub("qkv"), c.dim, 3 * c.dim),
        proj(sub("proj"), c.dim, c.dim),
        table(sub("relative_position_bias_table"), {(2 * side - 1) * (2 * side - 1) + 1, heads}, init::normal(0.5),
              Decay::table) {}

  Var forward(const Var& x) override {
    const int64_t tokens = side * side + 1;
    const Var bias = permute(embedding(table, offsets()), {2, 0, 1});  // [H, N, N]
    CHECK(x.size(1) == tokens);
    const int64_t head_dim = x.size(2) / heads;
    const double scale = 1 / std::sqrt(double(head_dim));
    return proj(attention(qkv(x), heads, {.scale = scale}, bias), DType::f32);
  }
  Tensor offsets() const {
    const int64_t n = side * side, width = 2 * side - 1;
    Tensor ids = full({n + 1, n + 1}, double(width * width), DType::i64);  // of the class token: the last row
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j)
        ids.data<int64_t>()[(i + 1) * (n + 1) + j + 1] =
            (i / side - j / side + side - 1) * width + i % side - j % side + side - 1;
    return ids;
  }

  int64_t heads, side;
  Linear qkv, proj;
  Param table;
};

VitConfig tiny() {
  VitConfig c;
  c.img_size = 6;
  c.patch_size = 2;
  c.num_classes = 3;
  c.embed_dim = 8;
  c.depth = 2;
  c.num_heads = 2;
  return c;
}

VitConfig relative() {
  VitConfig c = tiny();
  c.parts.attn = [](const Scope& scope, const AttentionConfig& a) {
    return std::make_unique<RelativeAttention>(scope, a, 3);
  };
  return c;
}

const Tensor kLabels = tensor<int64_t>({0, 1, 2, 1}, {4});

Tensor images(DType dtype = DType::f32) { return Rng(1, "images").normal({4, 3, 6, 6}, 0, 1, dtype); }

}  // namespace

TEST_CASE("an attention variant is a part of a transformer") {
  VisionTransformer model(Scope(3), relative());
  CHECK_NOTHROW(model.parameter("blocks.1.attn.relative_position_bias_table"));
  CHECK_THROWS_WITH_AS(model.last_self_attention(images()), doctest::Contains("'blocks.1.attn' has no weights to show"),
                       ConfigError);
  optim::AdamW optimizer(optim::decay_groups(model.parameters()));
  double first = 0, last = 0;
  for (int step = 0; step < 40; ++step) {
    optimizer.zero_grad();
    ag::Tape tape;
    const Var loss = cross_entropy(model(images()), kLabels);
    tape.backward(loss);
    optimizer.step(5e-3, 0);
    (step == 0 ? first : last) = loss.value().item();
  }
  CHECK(last < 0.3 * first);
}

TEST_CASE("the gradients of an attention variant match central differences") {
  RelativeAttention layer(Scope(3, DType::f64), {.dim = 8, .num_heads = 2}, 2);
  const Tensor x = Rng(1, "x").normal({2, 5, 8}, 0, 1, DType::f64);
  CHECK(ag::gradcheck([&](const ag::Vars& v) { return layer(v[0]); }, std::vector<Tensor>{x}).ok);
  const auto of_table = [&](const ag::Vars& v) {
    const Var bias = permute(embedding(v[0], layer.offsets()), {2, 0, 1});
    return attention(layer.qkv(x), 2, {.scale = 0.5}, bias);
  };
  CHECK(ag::gradcheck(of_table, std::vector<Shape>{{10, 2}}).ok);
  ag::Tape tape;
  tape.backward(sum(layer(x) * Var(x)));
  CHECK(core::norm(layer.table.grad()) > 0);
}

TEST_CASE("without a bias the variant computes the standard attention") {
  VisionTransformer variant(Scope(3, DType::f64), relative()), standard(Scope(3, DType::f64), tiny());
  for (Parameter* p : variant.parameters())
    if (p->name().ends_with("table")) p->update([](Tensor& t) { t.zero_(); });
  CHECK(test::max_difference(variant(images(DType::f64)).value(), standard(images(DType::f64)).value()) < 1e-12);
}

TEST_CASE("norm and feed-forward of a transformer are exchangeable, under the standard names") {
  VitConfig c = tiny();
  c.parts.norm = [](const Scope& scope, int64_t dim, double eps) { return std::make_unique<RMSNorm>(scope, dim, eps); };
  c.parts.ffn = [](const Scope& scope, int64_t dim, int64_t hidden) {
    return std::make_unique<SwiGLU>(scope, dim, hidden);
  };
  VisionTransformer model(Scope(3), c);
  for (const char* name : {"blocks.0.norm1.weight", "blocks.1.norm2.weight", "norm.weight", "blocks.0.mlp.fc2.weight"})
    CHECK_NOTHROW(model.parameter(name));
  CHECK_THROWS_AS(model.parameter("norm.bias"), ConfigError);
  ag::Tape tape;
  tape.backward(cross_entropy(model(images()), kLabels));
  for (const Parameter* p : model.parameters()) {
    CAPTURE(p->name());
    CHECK(p->grad().defined());
  }
}

}  // namespace vitrail::nn
