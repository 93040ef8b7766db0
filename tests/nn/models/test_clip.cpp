#include "tests/support/clip_golden.h"
#include "tests/support/close.h"
#include "vitrail/autograd/gradcheck.h"
#include "vitrail/autograd/macs.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/nn/losses/contrastive.h"
#include "vitrail/nn/models/clip.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/weights/layout.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

using namespace vitrail;
using ag::Var;
using nlohmann::json;

namespace {

nn::ClipConfig tiny() {
  nn::ClipConfig c;
  c.vision = {.img_size = 16,
              .patch_size = 8,
              .num_classes = 6,
              .embed_dim = 8,
              .depth = 2,
              .num_heads = 2,
              .ln_eps = 1e-5,
              .pre_norm = true,
              .head_bias = false};
  c.text = {.vocab_size = 20, .context_length = 9, .embed_dim = 12, .depth = 2, .num_heads = 3, .out_dim = 6};
  return c;
}

/// Texts of several lengths: 19 is the end of text.
Tensor texts(int64_t batch) {
  Tensor ids = zeros({batch, 9}, DType::i64);
  Rng rng(5, "texts");
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t length = 2 + rng.below(4);
    for (int64_t i = 0; i < length; ++i) ids.data<int64_t>()[b * 9 + i] = 1 + rng.below(17);
    ids.data<int64_t>()[b * 9 + length] = 19;
  }
  return ids;
}

Tensor random_images(int64_t batch, DType dtype) { return Rng(6, "pictures").normal({batch, 3, 16, 16}, 0, 1, dtype); }

std::map<std::string, Tensor> gradients(nn::ModuleBase& model) {
  std::map<std::string, Tensor> map;
  for (nn::Parameter* p : model.parameters())
    map[p->name()] = p->grad().defined() ? p->grad() : zeros(p->shape(), p->value().dtype());
  model.zero_grad();
  return map;
}

}  // namespace

TEST_CASE("published models have the published numbers of parameters") {
  // Vision, text and all, with the temperature: open_clip's docs/model_profile.csv.
  struct Row {
    std::string name;
    int64_t vision, text, total;
  };
  const Row rows[] = {
      {"ViT-B-32", 87849216, 63428096, 151277313},     {"ViT-B-16", 86192640, 63428096, 149620737},
      {"ViT-L-14", 303966208, 123650304, 427616513},   {"ViT-L-14-336", 304293888, 123650304, 427944193},
      {"ViT-S-32-alt", 22592640, 20631808, 43224449},  {"ViT-S-16-alt", 21764352, 20631808, 42396161},
      {"ViT-S-32", 22641792, 40444032, 63085825},      {"ViT-S-16", 21813504, 40444032, 62257537},
      {"ViT-M-32-alt", 39626240, 40444032, 80070273},  {"ViT-M-32", 39691776, 63428096, 103119873},
      {"ViT-M-16-alt", 38534144, 40444032, 78978177},  {"ViT-M-16", 38587392, 63428096, 102015489},
      {"ViT-B-32-256", 87860736, 63428096, 151288833}, {"ViT-B-16-plus-240", 117213824, 91163520, 208377345},
      {"ViT-L-16", 304089088, 123650304, 427739393},   {"ViT-H-14", 632076800, 354032640, 986109441},
      {"ViT-g-14", 1012645632, 354032640, 1366678273}, {"ViT-bigG-14", 1844907264, 694659840, 2539567105},
  };
  CHECK(std::size(rows) == nn::clip_variants().size());
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const nn::Clip model(nn::Scope().without_values(), nn::clip_variant(row.name));
    CHECK(model.visual.parameter_count() == row.vision);
    CHECK(model.text.parameter_count() == row.text);
    CHECK(model.parameter_count() == row.total);
  }
  CHECK(nn::clip_variant("ViT-B-32-quickgelu").text.gelu == ag::Gelu::quick);
  CHECK_THROWS_WITH_AS(nn::clip_variant("ViT-B-8"), doctest::Contains("known are ViT-B-32, ViT-B-16"), ConfigError);
}

TEST_CASE("a tiny CLIP agrees with the official model") {
  const auto found = test::clip_golden();
  if (!found) return;
  const json& golden = found->file;
  const auto size = [&](const char* name) { return golden["config"][name].get<int64_t>(); };

  for (const auto& kind : {std::pair{"quick_gelu", ag::Gelu::quick}, {"gelu", ag::Gelu::erf}}) {
    const auto activation = kind.first;
    const auto gelu = kind.second;
    for (const DType dtype : {DType::f32, DType::f64}) {
      CAPTURE(activation);
      CAPTURE(dtype);
      const json& expected = golden["results"][activation];
      nn::ClipConfig c;
      c.vision = {.img_size = size("image_resolution"),
                  .patch_size = size("vision_patch_size"),
                  .num_classes = size("embed_dim"),
                  .embed_dim = size("vision_width"),
                  .depth = size("vision_layers"),
                  .num_heads = size("vision_width") / 64,
                  .gelu = gelu,
                  .ln_eps = 1e-5,
                  .pre_norm = true,
                  .head_bias = false};
      c.text = {.vocab_size = size("vocab_size"),
                .context_length = size("context_length"),
                .embed_dim = size("transformer_width"),
                .depth = size("transformer_layers"),
                .num_heads = size("transformer_heads"),
                .out_dim = size("embed_dim"),
                .gelu = gelu};
      nn::Clip model(nn::Scope(0, dtype), c);
      nn::load_state(model, nn::from_layout(nn::layout_named("open_clip"), found->weights).weights,
                     "the golden weights");

      ag::Tape tape;
      const Var image = model.encode_image(found->images.to(dtype)), text = model.encode_text(found->ids);
      const Var logits = model.logits(image, text), loss = nn::contrastive_loss(logits);
      const double near = dtype == DType::f64 ? 1e-11 : 1e-5;
      CHECK(test::relative_error(image.value(), test::matrix(expected["image_features"])) < near);
      CHECK(test::relative_error(text.value(), test::matrix(expected["text_features"])) < near);
      CHECK(test::relative_error(logits.value(), test::matrix(expected["logits_per_image"])) < near);
      CHECK(std::abs(loss.value().item() - expected["clip_loss"].get<double>()) < near);
      const Var sigmoid =
          nn::pair_logits(image.detach(), text.detach(), scalar(std::log(10.0), dtype), scalar(-10, dtype));
      CHECK(std::abs(nn::sigmoid_loss(sigmoid).value().item() / expected["siglip_loss_t10_bm10"].get<double>() - 1) <
            near);

      tape.backward(loss);
      TensorMap grads;
      for (const nn::Parameter* p : model.parameters()) grads[p->name()] = p->grad();
      grads = nn::to_layout(nn::layout_named("open_clip"), grads).weights;
      REQUIRE(grads.size() == expected["grad"].size());
      for (const auto& [key, g] : grads) {
        const std::string& name = key;
        CAPTURE(name);
        const json& e = expected["grad"][name];
        CHECK(core::norm(g) == doctest::Approx(e["l2"].get<double>()).epsilon(dtype == DType::f64 ? 1e-10 : 3e-5));
        const std::vector<double> values = g.contiguous().to_vector();
        for (size_t i = 0; i < e["first3"].size(); ++i)
          CHECK(std::abs(values[i] - e["first3"][i].get<double>()) <
                (dtype == DType::f64 ? 1e-10 : 3e-5) * (1 + e["l2"].get<double>()));
      }
    }
  }
}

TEST_CASE("weights start as in OpenAI's code") {
  nn::ClipConfig c = tiny();
  c.vision.embed_dim = 96;
  c.text.embed_dim = 60;
  const nn::Clip model(nn::Scope(3), c);
  struct Row {
    std::string name;
    double std;
  };
  const double w = 1 / std::sqrt(96.0), t = 1 / std::sqrt(60.0), uniform = 1 / std::sqrt(3.0);
  const Row rows[] = {{"visual.pos_embed", w},
                      {"visual.head.weight", w},
                      {"visual.patch_embed.proj.weight", uniform / std::sqrt(3.0 * 64)},
                      {"visual.blocks.1.attn.qkv.weight", uniform * std::sqrt(6 / (4 * 96.0))},
                      {"visual.blocks.1.attn.proj.weight", uniform * w},
                      {"visual.blocks.0.mlp.fc2.weight", uniform * w / 2},
                      {"visual.blocks.0.mlp.fc1.bias", uniform * w},
                      {"visual.blocks.0.attn.qkv.bias", 0},
                      {"visual.norm_pre.bias", 0},
                      {"text.token_embedding.weight", 0.02},
                      {"text.pos_embed", 0.01},
                      {"text.blocks.1.attn.qkv.weight", t},
                      {"text.blocks.1.attn.proj.weight", t / 2},
                      {"text.blocks.1.mlp.fc1.weight", t / std::sqrt(2.0)},
                      {"text.blocks.1.mlp.fc2.weight", t / 2},
                      {"text.blocks.0.mlp.fc2.bias", uniform * t / 2},
                      {"text.proj.weight", t},
                      {"text.blocks.0.attn.proj.bias", 0}};
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const Tensor& value = model.parameter(row.name).value();
    const double n = double(value.numel()), std = core::norm(value) / std::sqrt(n);
    CHECK(std::abs(std - row.std) <= 5 / std::sqrt(2 * n) * row.std);
  }
  CHECK(core::norm(core::affine(model.parameter("text.norm.weight").value(), 1, -1)) == 0);
  CHECK(model.logit_scale.value().item() == doctest::Approx(std::log(1 / 0.07)));
  const nn::Clip again(nn::Scope(3), c);
  CHECK(test::max_difference(again.parameter("text.proj.weight").value(),
                             model.parameter("text.proj.weight").value()) == 0);
}

TEST_CASE("names of OpenAI and back are the identity, with transposed projections") {
  const nn::Clip model(nn::Scope(1), tiny());
  const TensorMap ours = nn::state(model), theirs = nn::to_layout(nn::layout_named("open_clip"), ours).weights,
                  back = nn::from_layout(nn::layout_named("open_clip"), theirs).weights;
  CHECK(theirs.at("visual.proj").shape() == Shape{8, 6});
  CHECK(theirs.at("text_projection").shape() == Shape{12, 6});
  CHECK(theirs.at("visual.class_embedding").shape() == Shape{8});
  CHECK(theirs.at("visual.positional_embedding").shape() == Shape{5, 8});
  CHECK(theirs.contains("visual.transformer.resblocks.1.attn.in_proj_bias"));
  CHECK(theirs.contains("transformer.resblocks.0.mlp.c_fc.weight"));
  REQUIRE(back.size() == ours.size());
  for (const auto& [name, value] : ours) CHECK(test::max_difference(back.at(name), value) == 0);
}

TEST_CASE("a text's feature does not depend on what is behind its end, nor on longer texts beside it") {
  nn::TextTransformer model(nn::Scope(2, DType::f64), tiny().text);
  const Tensor ids = texts(5);
  const Tensor all = model(ids).value();
  Tensor noisy = ids.clone();
  for (int64_t b = 0; b < 5; ++b) {
    int64_t* row = noisy.data<int64_t>() + b * 9;
    for (int64_t* i = std::find(row, row + 9, 19) + 1; i < row + 9; ++i) *i = 7;
  }
  CHECK(test::max_difference(model(noisy).value(), all) < 1e-14);
  for (int64_t b = 0; b < 5; ++b)
    CHECK(test::max_difference(model(ids.slice(0, b, b + 1)).value(), all.slice(0, b, b + 1)) < 1e-12);

  SUBCASE("of two ends the first counts") {
    Tensor twice = ids.clone();
    twice.data<int64_t>()[8] = 19;
    CHECK(test::max_difference(model(twice).value(), all) < 1e-12);
  }
}

TEST_CASE("what nothing reads is not computed, with the same features and gradients") {
  nn::TextTransformer model(nn::Scope(2, DType::f64), tiny().text);
  const Tensor ids = texts(4), weight = Rng(1, "w").normal({4, 6}, 0, 1, DType::f64);
  const auto run = [&](auto&& forward) {
    ag::Tape tape;
    const Var y = forward();
    tape.backward(sum(y * weight));
    return std::pair(y.value(), gradients(model));
  };
  const auto [fast, fast_grads] = run([&] { return model(ids); });
  const auto [slow, slow_grads] = run([&] {  // all tokens of all texts
    Var x = model.token_embedding(ids) + Var(model.pos_embed);
    for (auto& block : model.blocks) x = block(x);
    Tensor ends = Tensor::empty({4, 1}, DType::i64);
    for (int64_t b = 0; b < 4; ++b) {
      const int64_t* row = ids.data<int64_t>() + b * 9;
      ends.data<int64_t>()[b] = std::find(row, row + 9, 19) - row;
    }
    return model.proj(model.norm(select(gather_tokens(x, ends), 1, 0)));
  });
  CHECK(test::relative_error(fast, slow) < 1e-12);
  for (const auto& [key, g] : slow_grads) {
    const std::string& name = key;
    CAPTURE(name);
    CHECK(test::max_difference(fast_grads.at(name), g) < 1e-11);
  }
  model.checkpoint_blocks = true;
  const auto [again, again_grads] = run([&] { return model(ids); });
  for (const auto& [name, g] : fast_grads) CHECK(test::max_difference(again_grads.at(name), g) < 1e-13);

  const int64_t before = ag::macs();
  nn::summarize([&] { model(ids, nn::Compute::all); });
  const int64_t whole = ag::macs() - before;
  model(ids);
  CHECK(ag::macs() - before - whole < whole * 6 / 10);
}

TEST_CASE("in bf16 both towers give nearly the same features and gradients") {
  nn::ClipConfig c = tiny();
  c.vision.embed_dim = c.text.embed_dim = 48;
  c.vision.patch_drop_rate = 0.25;
  nn::Clip model(nn::Scope(3), c);
  const Tensor images = random_images(4, DType::f32), ids = texts(4);
  const auto run = [&](DType type) {
    const ag::RandomScope random(1, 0);
    ag::Tape tape;
    const auto [image, text] = [&] {
      const ag::Autocast autocast(type);
      return std::pair(model.encode_image(images), model.encode_text(ids));
    }();
    CHECK(text.dtype() == DType::f32);
    tape.backward(nn::contrastive_loss(model.logits(image, text)));
    return std::tuple(image.value(), text.value(), gradients(model));
  };
  const auto [image, text, grads] = run(DType::f32);
  const auto [image16, text16, grads16] = run(DType::bf16);
  CHECK(test::relative_error(image16, image) < 0.03);
  CHECK(test::relative_error(text16, text) < 0.03);
  for (const auto& [key, g] : grads) {
    const std::string& name = key;
    CAPTURE(name);
    CHECK(core::norm(core::sub(grads16.at(name), g)) < 0.1 * core::norm(g) + 1e-3);
  }
}

TEST_CASE("the text tower refuses what it cannot read") {
  nn::TextTransformer model(nn::Scope(2), tiny().text);
  CHECK_THROWS_WITH_AS(model(zeros({2, 3})), doctest::Contains("needs ids i64 [B, L], was given f32 [2, 3]"),
                       ShapeError);
  Tensor longer = zeros({1, 12}, DType::i64);
  longer.data<int64_t>()[10] = 19;
  CHECK_THROWS_WITH_AS(model(longer), doctest::Contains("a text has 11 tokens; the context has 9"), ShapeError);
  CHECK_THROWS_WITH_AS(model(full({1, 2}, 20, DType::i64)), doctest::Contains("id 20"), ShapeError);
}

TEST_CASE("losses of pairs: by hand, in range, and refused where not square") {
  const Var z(tensor<double>({2, 0, 1, 3}, {2, 2}));
  CHECK(nn::contrastive_loss(z).value().item() == doctest::Approx(0.15392626).epsilon(1e-7));
  CHECK(nn::sigmoid_loss(z).value().item() == doctest::Approx(1.09096212).epsilon(1e-7));
  const Var extreme(tensor<float>({-200, 200, 200, -200}, {2, 2}));
  CHECK(nn::contrastive_loss(extreme).value().item() == doctest::Approx(400));
  CHECK(nn::sigmoid_loss(extreme).value().item() == doctest::Approx(400));
  CHECK_THROWS_WITH_AS(nn::contrastive_loss(Var(zeros({2, 3}))), doctest::Contains("logits are [2, 3]"), ShapeError);
  CHECK_THROWS_WITH_AS(nn::sigmoid_loss(Var(zeros({2}))), doctest::Contains("logits are [2]"), ShapeError);
  CHECK_THROWS_WITH_AS(nn::pair_logits(Var(zeros({2, 3})), Var(zeros({3, 3})), Var(scalar(0))),
                       doctest::Contains("image features are [2, 3], text features [3, 3]"), ShapeError);
}

TEST_CASE("gradients of the losses match central differences") {
  const std::vector<Shape> clip{{4, 5}, {4, 5}, {}}, siglip{{4, 5}, {4, 5}, {}, {}};
  CHECK(ag::gradcheck([](const ag::Vars& v) { return nn::contrastive_loss(nn::pair_logits(v[0], v[1], v[2])); }, clip)
            .ok);
  CHECK(
      ag::gradcheck([](const ag::Vars& v) { return nn::sigmoid_loss(nn::pair_logits(v[0], v[1], v[2], v[3])); }, siglip)
          .ok);
}

TEST_CASE("the temperature is kept in its range") {
  nn::Clip model(nn::Scope(0), tiny());
  for (const auto& [before, after] : {std::pair{4.7, std::log(100.0)}, {-0.1, 0.0}, {3.0, 3.0}}) {
    model.logit_scale.update([value = before](Tensor& t) { t.fill_(value); });
    model.clamp_logit_scale();
    CHECK(model.logit_scale.value().item() == doctest::Approx(after).epsilon(1e-7));
  }
}

TEST_CASE("gradients by slices equal those of the whole batch") {
  nn::ClipConfig c = tiny();
  c.init_logit_bias = -2;
  c.vision.patch_drop_rate = 0.5;  // both passes must drop the same patches
  nn::Clip model(nn::Scope(4, DType::f64), c);
  constexpr int64_t kBatch = 6;
  const Tensor images = random_images(kBatch, DType::f64), ids = texts(kBatch);
  for (const auto loss_of : {nn::contrastive_loss, nn::sigmoid_loss}) {
    for (const std::vector<int64_t>& ends : {std::vector<int64_t>{6}, {3, 6}, {1, 2, 3, 4, 5, 6}, {4, 6}, {1, 6}}) {
      CAPTURE(ends.size());
      const auto part = [&](const Tensor& t, int64_t i) {
        return t.slice(0, i ? ends[size_t(i - 1)] : 0, ends[size_t(i)]);
      };
      const auto slices = int64_t(ends.size());
      double expected = 0;
      {
        const ag::RandomScope random(1, 0);
        ag::Tape tape;
        std::vector<Var> image, text;
        for (int64_t i = 0; i < slices; ++i) image.push_back(model.encode_image(part(images, i)));
        for (int64_t i = 0; i < slices; ++i) text.push_back(model.encode_text(part(ids, i)));
        const Var loss = loss_of(model.logits(ag::concat(image, 0), ag::concat(text, 0)));
        expected = loss.value().item();
        tape.backward(loss);
      }
      const auto plain = gradients(model);
      const ag::RandomScope random(1, 0);
      const Tensor loss =
          nn::cached_backward({[&](int64_t i) { return model.encode_image(part(images, i)); },
                               [&](int64_t i) { return model.encode_text(part(ids, i)); }},
                              slices, [&](const std::vector<Var>& f) { return loss_of(model.logits(f[0], f[1])); });
      CHECK(loss.item() == doctest::Approx(expected).epsilon(1e-12));
      for (const auto& [key, g] : gradients(model)) {
        const std::string& name = key;
        CAPTURE(name);
        CHECK(test::max_difference(g, plain.at(name)) < 1e-9);
      }
    }
  }
}

TEST_CASE("patch dropout keeps what it should, anew in each sample, and only in training") {
  nn::PatchDropout layer(nn::Scope(0), 0.75, 1);
  constexpr int64_t kBatch = 8, kTokens = 17;
  Tensor x = Tensor::empty({kBatch, kTokens, 2});
  for (int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] = float(i / 2 % kTokens);
  const ag::RandomScope random(7, 0);
  const Tensor y = layer(Var(x)).value();
  CHECK(y.shape() == Shape{kBatch, 5, 2});
  std::vector<std::vector<double>> kept;
  for (int64_t b = 0; b < kBatch; ++b) {
    std::vector<double> tokens = y.select(0, b).select(1, 0).to_vector();
    CHECK(tokens[0] == 0);
    std::sort(tokens.begin(), tokens.end());
    CHECK(std::adjacent_find(tokens.begin(), tokens.end()) == tokens.end());
    kept.push_back(tokens);
  }
  std::sort(kept.begin(), kept.end());
  CHECK(std::unique(kept.begin(), kept.end()) - kept.begin() > 4);
  nn::PatchDropout all(nn::Scope(0), 0.999, 1);
  CHECK(all(Var(x)).shape() == Shape{kBatch, 2, 2});
  layer.eval();
  CHECK(test::max_difference(layer(Var(x)).value(), x) == 0);
}

TEST_CASE("clip: an image tower may pool the mean of its patches, before or after the norm, without a norm before") {
  nn::ClipConfig config = tiny();
  config.vision.pre_norm = config.vision.patch_bias = false;
  config.vision.pool = nn::Pool::avg;
  for (const bool after : {false, true}) {
    config.vision.norm_after_pool = after;
    nn::Clip model(nn::Scope(1, DType::f64), config);
    CHECK_FALSE(model.visual.patch_embed.proj.bias.has_value());
    CHECK_FALSE(model.visual.norm_pre.has_value());
    model.visual.norm->parameters()[0]->update(
        [](Tensor& t) { t.copy_(Rng(2, "gain").uniform(t.shape(), 0.5, 2, t.dtype())); });
    const Tensor images = random_images(3, DType::f64);
    const Var tokens = model.visual.forward_blocks(images);
    const auto mean_of_patches = [](const Var& x) { return mean(slice(x, 1, 1, x.size(1)), {1}); };
    const Var pooled =
        after ? (*model.visual.norm)(mean_of_patches(tokens)) : mean_of_patches((*model.visual.norm)(tokens));
    CHECK(test::max_difference(model.visual.features(images).value(), pooled.value()) < 1e-12);
  }
  config.vision.norm_after_pool = true;
  config.vision.pool = nn::Pool::token;
  CHECK_THROWS_WITH_AS(nn::Clip(nn::Scope(1), config), doctest::Contains("norm_after_pool: true needs pool: avg"),
                       ConfigError);
}

TEST_CASE("clip: a text tower may see all tokens, and be read at its first or last place") {
  nn::ClipConfig config = tiny();
  const auto features = [&](bool causal, nn::TextPool pool, const Tensor& ids) {
    config.text.causal = causal;
    config.text.pool = pool;
    nn::Clip model(nn::Scope(1, DType::f64), config);
    return model.encode_text(ids).value();
  };
  const Tensor ids = texts(3);
  Tensor other = ids.clone();  // another token after the end of text
  for (int64_t b = 0; b < 3; ++b) other.data<int64_t>()[b * 9 + 8] = 5;
  using enum nn::TextPool;
  const auto moves = [&](bool causal, nn::TextPool pool) {
    return test::max_difference(features(causal, pool, ids), features(causal, pool, other)) > 1e-9;
  };
  CHECK_FALSE(moves(true, argmax));
  CHECK_FALSE(moves(true, first));
  CHECK(moves(true, last));
  CHECK(moves(false, argmax));
  CHECK(moves(false, first));
  CHECK(moves(false, last));
  // An end of text at the last place is both the largest id and the last token.
  Tensor full = other.clone();
  for (int64_t b = 0; b < 3; ++b)
    for (int64_t i = 0; i < 9; ++i) full.data<int64_t>()[b * 9 + i] = i == 8 ? 19 : 1 + i;
  for (const bool causal : {true, false})
    CHECK(test::max_difference(features(causal, last, full), features(causal, argmax, full)) == 0);
  // The first of one token: the mask makes no difference.
  const Tensor one = full.slice(1, 8, 9).contiguous();
  CHECK(test::max_difference(features(true, first, one), features(false, last, one)) < 1e-12);
}
