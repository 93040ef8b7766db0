#include "tests/support/close.h"
#include "tests/support/messages.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/gradcheck.h"
#include "vitrail/nn/models/llama.h"
#include "vitrail/nn/state_io.h"

#include <cmath>
#include <numbers>

using namespace vitrail;
using ag::Var;
using test::check_refused;
using test::max_difference;

namespace {

nn::LlamaConfig tiny_llama() {
  return {.vocab_size = 11,
          .embed_dim = 8,
          .hidden_dim = 12,
          .depth = 2,
          .num_heads = 4,
          .num_kv_heads = 2,
          .qkv_bias = true,
          .context_length = 32};
}

/// Weights of a size that makes every part of the model count.
void fill_random(nn::Llama& model) {
  for (nn::Parameter* p : model.parameters()) {
    Rng rng(3, p->name());
    const bool gain = p->name().ends_with("norm.weight");
    p->update([&](Tensor& t) { t.copy_(rng.normal(t.shape(), gain ? 1 : 0, 0.4, DType::f64)); });
  }
}

Tensor random_ids(uint64_t seed, int64_t batch, int64_t tokens, int64_t vocab = 11) {
  Rng rng(seed, "ids");
  Tensor ids = Tensor::empty({batch, tokens}, DType::i64);
  for (int64_t& id : ids.span<int64_t>()) id = rng.below(vocab);
  return ids;
}

Tensor full_logits(nn::Llama& model, const Tensor& ids, const nn::LlamaInput& input = {}) {
  return model.logits(model.hidden(model.embed(ids), nullptr, input)).value();
}

/// The logits of pieces that end at these tokens, read one after the other through a cache.
Tensor cached_logits(nn::Llama& model, const Tensor& ids, const std::vector<int64_t>& ends,
                     const nn::LlamaInput& input = {}) {
  nn::KvCache cache;
  std::vector<Tensor> parts;
  for (const int64_t end : ends) {
    const int64_t begin = cache.length();
    nn::LlamaInput piece = input;
    if (input.mask.defined()) piece.mask = input.mask.slice(1, begin, end);
    parts.push_back(model.logits(model.hidden(model.embed(ids.slice(1, begin, end)), &cache, piece)).value());
  }
  return core::concat(parts, 1);
}

/// u8 [B, T]: sample b has lengths[b] tokens, at the right end if `left` is padding.
Tensor padding_mask(const std::vector<int64_t>& lengths, int64_t tokens, bool left) {
  Tensor mask = zeros({int64_t(lengths.size()), tokens}, DType::u8);
  for (size_t b = 0; b < lengths.size(); ++b) {
    Tensor row = mask.select(0, int64_t(b));
    row.slice(0, left ? tokens - lengths[b] : 0, left ? tokens : lengths[b]).fill_(1);
  }
  return mask;
}

}  // namespace

TEST_CASE("Llama: parameters have the names and shapes of Hugging Face") {
  nn::Llama model(nn::Scope(1), tiny_llama());
  const TensorMap weights = nn::state(model);
  const std::string layer = "layers.1.";
  const std::vector<std::pair<std::string, Shape>> expected = {
      {"embed_tokens.weight", {11, 8}},
      {layer + "input_layernorm.weight", {8}},
      {layer + "self_attn.q_proj.weight", {8, 8}},
      {layer + "self_attn.q_proj.bias", {8}},
      {layer + "self_attn.k_proj.weight", {4, 8}},
      {layer + "self_attn.k_proj.bias", {4}},
      {layer + "self_attn.v_proj.weight", {4, 8}},
      {layer + "self_attn.v_proj.bias", {4}},
      {layer + "self_attn.o_proj.weight", {8, 8}},
      {layer + "post_attention_layernorm.weight", {8}},
      {layer + "mlp.gate_proj.weight", {12, 8}},
      {layer + "mlp.up_proj.weight", {12, 8}},
      {layer + "mlp.down_proj.weight", {8, 12}},
      {"norm.weight", {8}},
      {"lm_head.weight", {11, 8}},
  };
  CHECK(weights.size() == 2 * 12 + 3);
  for (const auto& weight : expected) {
    CAPTURE(weight.first);
    REQUIRE(weights.contains(weight.first));
    CHECK(weights.at(weight.first).shape() == weight.second);
  }
  CHECK(model.config.head_dim == 2);
  nn::LlamaConfig tied = tiny_llama();
  tied.tied = true;
  CHECK_FALSE(nn::state(*std::make_unique<nn::Llama>(nn::Scope(1), tied)).contains("lm_head.weight"));
}

TEST_CASE("Llama: a text read in pieces through a cache gives the logits of one piece") {
  for (const bool tied : {false, true}) {
    nn::LlamaConfig c = tiny_llama();
    c.tied = tied;
    c.head_dim = tied ? 6 : 0;  // heads need not divide the width
    nn::Llama model(nn::Scope(1, DType::f64), c);
    fill_random(model);
    const Tensor ids = random_ids(5, 2, 9), expected = full_logits(model, ids);
    CHECK(max_difference(cached_logits(model, ids, {9}), expected) < 1e-12);
    CHECK(max_difference(cached_logits(model, ids, {4, 9}), expected) < 1e-12);
    CHECK(max_difference(cached_logits(model, ids, {3, 4, 5, 6, 7, 8, 9}), expected) < 1e-12);
  }
}

TEST_CASE("Llama: a cache of many tokens grows, and forgets") {
  nn::LlamaConfig c = tiny_llama();
  c.context_length = 600;
  nn::Llama model(nn::Scope(1, DType::f64), c);
  fill_random(model);
  const Tensor ids = random_ids(5, 1, 520);
  CHECK(max_difference(cached_logits(model, ids, {250, 257, 519, 520}), full_logits(model, ids)) < 1e-11);

  nn::KvCache cache;
  model.hidden(model.embed(ids.slice(1, 0, 20)), &cache);
  model.hidden(model.embed(ids.slice(1, 300, 310)), &cache);  // a first question, answered
  cache.truncate(20);
  const Tensor again = model.hidden(model.embed(ids.slice(1, 20, 30)), &cache).value();
  const Tensor whole = model.hidden(model.embed(ids.slice(1, 0, 30))).value();
  CHECK(cache.length() == 30);
  CHECK(max_difference(again, whole.slice(1, 20, 30)) < 1e-12);
  check_refused([&] { cache.truncate(31); }, "cannot keep 31 of 30 tokens");
}

TEST_CASE("Llama: padding on either side changes nothing for the tokens of a text") {
  nn::Llama model(nn::Scope(1, DType::f64), tiny_llama());
  fill_random(model);
  const std::vector<int64_t> lengths = {7, 4, 1};
  for (const bool left : {true, false}) {
    CAPTURE(left);
    const Tensor ids = random_ids(5, 3, 7), mask = padding_mask(lengths, 7, left);
    const nn::LlamaInput input{.mask = mask};
    const Tensor logits = full_logits(model, ids, input);
    CHECK(max_difference(cached_logits(model, ids, {2, 3, 7}, input), logits) < 1e-12);

    // Decoding goes on behind the padding: the tokens of each text, then two more.
    nn::KvCache cache;
    const Tensor more = random_ids(6, 3, 2);
    model.hidden(model.embed(ids), &cache, input);
    const Tensor next = model.logits(model.hidden(model.embed(more), &cache)).value();
    CHECK(cache.mask().shape() == Shape{3, 9});
    for (int64_t b = 0; b < 3; ++b) {
      const int64_t n = lengths[size_t(b)], begin = left ? 7 - n : 0;
      const Tensor text = ids.slice(0, b, b + 1).slice(1, begin, begin + n);
      CHECK(max_difference(logits.slice(0, b, b + 1).slice(1, begin, begin + n), full_logits(model, text)) < 1e-12);
      const Tensor whole = core::concat({text, more.slice(0, b, b + 1)}, 1);
      CHECK(max_difference(next.slice(0, b, b + 1), full_logits(model, whole).slice(1, n, n + 2)) < 1e-12);
    }
  }
}

TEST_CASE("Llama: the tokens of a prefix see each other") {
  nn::Llama model(nn::Scope(1, DType::f64), tiny_llama());
  fill_random(model);
  const Tensor ids = random_ids(5, 2, 8);
  const nn::LlamaInput input{.prefix = 3};
  const Tensor logits = full_logits(model, ids, input), causal = full_logits(model, ids);
  CHECK(max_difference(logits.slice(1, 0, 1), causal.slice(1, 0, 1)) > 1e-3);
  CHECK(max_difference(cached_logits(model, ids, {3, 5, 8}, input), logits) < 1e-12);
  CHECK(max_difference(cached_logits(model, ids, {4, 8}, input), logits) < 1e-12);
  CHECK(max_difference(full_logits(model, ids, {.prefix = 1}), causal) < 1e-12);

  Tensor other = ids.clone();  // a later token is not seen by the prefix, the last one of the prefix is
  other.data<int64_t>()[7] = (other.data<int64_t>()[7] + 1) % 11;
  CHECK(max_difference(full_logits(model, other, input).slice(1, 0, 7), logits.slice(1, 0, 7)) == 0);
  check_refused([&] { cached_logits(model, ids, {2, 8}, input); }, "the prefix has 3 tokens and must be read in one");
  check_refused([&] { full_logits(model, ids, {.prefix = 9}); }, "the prefix has 9 tokens");
}

TEST_CASE("Llama: gradients") {
  for (uint64_t seed = 0; seed < 3; ++seed) {
    Rng rng(seed, "sizes");
    nn::LlamaConfig c = tiny_llama();
    c.num_kv_heads = int64_t(1) << rng.below(3);
    c.tied = seed == 1;
    c.qkv_bias = seed != 1;
    c.depth = 1 + int64_t(seed == 2);
    nn::Llama model(nn::Scope(seed, DType::f64), c);
    fill_random(model);
    const int64_t batch = 1 + rng.below(2), tokens = 2 + rng.below(4);
    const nn::LlamaInput input{
        .prefix = rng.below(2) * 2,
        .mask = seed == 2 ? padding_mask(std::vector<int64_t>(size_t(batch), tokens - 1), tokens, false) : Tensor()};
    const Tensor ids = random_ids(seed, batch, tokens);
    const auto run = [&](const ag::Vars& v) {
      return model.logits(model.hidden(model.embed(ids) + v[0], nullptr, input));
    };
    const ag::GradReport report = nn::gradcheck(run, {Shape{batch, tokens, 8}}, {}, model.parameters());
    CHECK_MESSAGE(report.ok, ag::to_string(report));
  }
}

TEST_CASE("Llama: recomputed blocks give the same gradients") {
  nn::Llama model(nn::Scope(1, DType::f64), tiny_llama());
  fill_random(model);
  const Tensor ids = random_ids(5, 2, 6);
  const auto gradient = [&] {
    ag::Tape tape;
    tape.backward(ag::mean(ag::square(model(ids))));
    Tensor g = model.parameter("layers.0.self_attn.k_proj.weight").grad();
    model.zero_grad();
    return g;
  };
  const Tensor plain = gradient();
  model.checkpoint_blocks = true;
  CHECK(max_difference(gradient(), plain) < 1e-15);
}

TEST_CASE("Llama: frozen bf16 weights, with norms in f32, under autocast") {
  nn::LlamaConfig c = tiny_llama();
  c.embed_dim = 64, c.hidden_dim = 96;
  nn::Llama model(nn::Scope(1), c);
  nn::Llama low(nn::Scope(1).without_values().frozen(DType::bf16), c);
  nn::load_state(low, nn::state(model), "the model");
  CHECK(low.parameter("layers.0.mlp.up_proj.weight").value().dtype() == DType::bf16);
  CHECK(low.parameter("layers.0.input_layernorm.weight").value().dtype() == DType::f32);
  CHECK(low.parameter("norm.weight").value().dtype() == DType::f32);
  const Tensor ids = random_ids(5, 2, 9), expected = full_logits(model, ids);
  const ag::Autocast bf16(DType::bf16);
  const Tensor logits = full_logits(low, ids);
  CHECK(logits.dtype() == DType::f32);
  CHECK(test::relative_error(logits, expected) < 0.02);
  CHECK(test::relative_error(cached_logits(low, ids, {5, 6, 9}), logits) < 0.01);
}

TEST_CASE("rope_frequencies: plain, linear and llama3") {
  const std::vector<double> plain = core::rope_frequencies(8, 10000);
  REQUIRE(plain.size() == 4);
  for (size_t i = 0; i < 4; ++i) CHECK(plain[i] == doctest::Approx(std::pow(10000, -double(i) / 4)));
  const auto linear = core::rope_frequencies(8, 10000, {.kind = core::RopeScaling::Kind::linear, .factor = 4});
  for (size_t i = 0; i < 4; ++i) CHECK(linear[i] == doctest::Approx(plain[i] / 4));

  // Llama 3.1: wavelengths below 8192 / 4 stay, those above 8192 are 8 times as long, between them a ramp.
  const core::RopeScaling llama3{.kind = core::RopeScaling::Kind::llama3, .factor = 8};
  const auto before = core::rope_frequencies(128, 500000), after = core::rope_frequencies(128, 500000, llama3);
  int64_t kept = 0, stretched = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    const double wavelength = 2 * std::numbers::pi / before[i], ratio = before[i] / after[i];
    if (wavelength < 2048) {
      ++kept;
      CHECK(ratio == doctest::Approx(1));
    } else if (wavelength > 8192) {
      ++stretched;
      CHECK(ratio == doctest::Approx(8));
    } else {
      const double smooth = (8192 / wavelength - 1) / 3;
      CHECK(1 / ratio == doctest::Approx(smooth + (1 - smooth) / 8));
    }
  }
  CHECK(kept == 29);
  CHECK(stretched == 29);
  check_refused([] { core::rope_frequencies(7, 10000); }, "heads have 7 dimensions");
  check_refused([] { core::rope_frequencies(8, 0); }, "the base of the frequencies is 0");
  check_refused([] { core::rope_frequencies(8, 1e4, {.kind = core::RopeScaling::Kind::linear, .factor = 0}); },
                "factor is 0");
  check_refused([] { core::rope_frequencies(8, 1e4, {.kind = core::RopeScaling::Kind::llama3, .low_freq_factor = 4}); },
                "needs 0 < low < high");
}

TEST_CASE("make_rope of positions: cosines and sines of position times frequency") {
  const std::vector<double> frequencies = core::rope_frequencies(6, 100);
  const core::Rope rope =
      core::make_rope(tensor({int64_t(5), int64_t(0), int64_t(1000)}, {3}), frequencies, DType::f64);
  CHECK(rope.cos.shape() == Shape{3, 3});
  for (int64_t i = 0; i < 3; ++i) {
    CHECK(rope.cos[0][i].item() == doctest::Approx(std::cos(5 * frequencies[size_t(i)])));
    CHECK(rope.sin[2][i].item() == doctest::Approx(std::sin(1000 * frequencies[size_t(i)])));
    CHECK(rope.cos[1][i].item() == 1);
  }
  check_refused([&] { core::make_rope(zeros({3}), frequencies, DType::f64); }, "needs i64 [N]");
}

TEST_CASE("Llama: refuses sizes, ids, masks and caches that do not fit") {
  const auto built = [](void (*change)(nn::LlamaConfig&)) {
    nn::LlamaConfig c = tiny_llama();
    change(c);
    nn::Llama(nn::Scope(1), c).parameter_count();
  };
  check_refused([&] { built([](nn::LlamaConfig& c) { c.num_kv_heads = 3; }); },
                "num_heads 4 is not a multiple of num_kv_heads 3");
  check_refused([&] { built([](nn::LlamaConfig& c) { c.embed_dim = 10; }); }, "embed_dim 10 is not a multiple");
  check_refused([&] { built([](nn::LlamaConfig& c) { c.head_dim = 3; }); }, "head_dim is 3");
  check_refused([&] { built([](nn::LlamaConfig& c) { c.depth = 0; }); }, "depth 0");

  nn::Llama model(nn::Scope(1), tiny_llama());
  check_refused([&] { model(random_ids(1, 1, 33)); }, "the text has 33 tokens; the context has 32");
  check_refused([&] { model(full({1, 2}, 11, DType::i64)); }, "11");
  check_refused([&] { model(zeros({1, 2})); }, "needs ids i64 [B, T], was given f32 [1, 2]");
  check_refused(
      [&] {
        full_logits(model, random_ids(1, 2, 3), {.mask = ones({2, 4}, DType::u8)});
      },
      "mask is u8 [2, 4]; needs u8 [2, 3]");

  nn::KvCache cache;
  model.hidden(model.embed(random_ids(1, 2, 3)), &cache);
  check_refused([&] { model.hidden(model.embed(random_ids(1, 1, 3)), &cache); }, "A cache serves one batch");
  CHECK(cache.length() == 3);
  const ag::Tape tape;
  nn::KvCache fresh;
  check_refused([&] { model.hidden(model.embed(random_ids(1, 1, 3)), &fresh); }, "no gradient flows through a cache");
}
