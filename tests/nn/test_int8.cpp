#include "tests/support/close.h"
#include "tests/support/messages.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/models/llama.h"
#include "vitrail/nn/state_io.h"

#include <cmath>

namespace vitrail::nn {
namespace {

using test::check_refused;

LlamaConfig small_decoder(bool tied) {
  return {.vocab_size = 50,
          .embed_dim = 64,
          .hidden_dim = 172,
          .depth = 2,
          .num_heads = 4,
          .num_kv_heads = 2,
          .qkv_bias = true,
          .tied = tied,
          .context_length = 32};
}

Tensor some_ids(int64_t tokens) {
  Tensor ids = Tensor::empty({1, tokens}, DType::i64);
  for (int64_t i = 0; i < tokens; ++i) ids.data<int64_t>()[i] = i * 7 % 50;
  return ids;
}

/// The logits of a text read token by token.
Tensor decoded(Llama& model, const Tensor& ids) {
  KvCache cache;
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < ids.size(1); ++i)
    rows.push_back(model.logits(model.hidden(model.embed(ids.slice(1, i, i + 1)), &cache)).value());
  return core::concat(rows, 1);
}

double relative_rms(const Tensor& y, const Tensor& expected) {
  const std::vector<double> a = y.to_vector(), b = expected.to_vector();
  double error = 0, total = 0;
  for (size_t i = 0; i < a.size(); ++i) error += (a[i] - b[i]) * (a[i] - b[i]), total += b[i] * b[i];
  return std::sqrt(error / total);
}

}  // namespace

TEST_CASE("int8: a decoder gives nearly the logits of its weights, read at once or token by token") {
  for (const bool tied : {false, true})
    for (const DType dtype : {DType::f32, DType::bf16}) {
      CAPTURE(tied);
      CAPTURE(dtype);
      Llama model(Scope(3).frozen(dtype), small_decoder(tied));
      model.eval();
      const ag::NoGrad no_grad;
      const ag::Autocast autocast(dtype);
      const Tensor ids = some_ids(20), expected = model(ids).value();
      const int64_t bytes = model.bytes_per_token();
      model.quantize_int8();
      CHECK(double(model.bytes_per_token()) < (dtype == DType::f32 ? 0.35 : 0.7) * double(bytes));
      CHECK(relative_rms(model(ids).value(), expected) < 0.015);
      CHECK(relative_rms(decoded(model, ids), expected) < 0.02);
      CHECK(model(ids).dtype() == DType::f32);
    }
}

TEST_CASE("int8: a model can be neither trained nor saved nor adapted, and says so") {
  Llama model(Scope(3), small_decoder(false));
  const Tensor ids = some_ids(4);
  CHECK(quantize_int8(model) == 2 * 7 + 1);
  check_refused([&] { state(model); }, "'layers.0.self_attn.q_proj.weight' is kept in 8 bits for inference");
  check_refused([&] { load_state(model, {}, "file"); }, "cannot be saved or loaded. Open it without int8");
  check_refused([&] { model.freeze(false); }, "is kept in 8 bits for inference and cannot be trained");
  check_refused([&] { quantize_int8(model); }, "'layers.0.self_attn.q_proj' has int8 weights");
  check_refused([&] { model.lm_head->outputs(zeros({2, 64}), 0, 3); }, "'lm_head' has int8 weights");
  {
    ag::Tape tape;  // the embeddings are trained still
    check_refused([&] { model(ids); }, "int8 weights [64, 64] pass no gradient; open the model without int8");
  }
  check_refused([&] { add_lora(model, {"q_proj"}); }, "'layers.0.self_attn.q_proj' has int8 weights");
  CHECK_NOTHROW(model(ids));
  CHECK(std::isnan(model.layers[0].mlp.up_proj.weight.value().to_vector()[5]));  // never a number in silence
  CHECK(model.layers[0].mlp.up_proj.weight.shape() == Shape{172, 64});

  Llama f64(Scope(3, DType::f64), small_decoder(false));
  check_refused([&] { f64.quantize_int8(); }, "is f64; int8 weights compute in f32 or bf16");
  Llama adapted(Scope(3), small_decoder(false));
  add_lora(adapted, {"q_proj"});
  check_refused([&] { adapted.quantize_int8(); }, "'layers.0.self_attn.q_proj' has an adapter; merge it first");
}

}  // namespace vitrail::nn
