// What 8-bit weights cost a trained decoder.
#include "tests/support/json_file.h"
#include "tests/support/messages.h"
#include "tests/support/reference.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/recipes/models/language_model.h"

#include <cmath>
#include <cstdlib>

using namespace vitrail;
using namespace vitrail::recipes;

namespace {

/// The mean cross entropy of ids 1 ... from the logits [1, T, V] of the tokens before them.
double mean_loss(const Tensor& logits, const std::vector<int64_t>& ids) {
  const int64_t vocab = logits.size(2);
  const std::vector<double> all = logits.to_vector();
  double total = 0;
  for (size_t i = 0; i + 1 < ids.size(); ++i) {
    const double* const row = all.data() + int64_t(i) * vocab;
    double sum = 0;
    for (int64_t v = 0; v < vocab; ++v) sum += std::exp(row[v]);
    total += std::log(sum) - row[ids[i + 1]];
  }
  return total / double(ids.size() - 1);
}

/// The same text in pieces of that many tokens.
double loss_in_pieces(nn::Llama& llama, const std::vector<int64_t>& ids, int64_t piece) {
  nn::KvCache cache;
  const Tensor text = tensor(ids, {1, int64_t(ids.size())});
  std::vector<Tensor> parts;
  for (int64_t begin = 0; begin < text.size(1); begin += piece) {
    const Tensor tokens = text.slice(1, begin, std::min(begin + piece, text.size(1)));
    parts.push_back(llama.logits(llama.hidden(llama.embed(tokens), &cache)).value());
  }
  return mean_loss(core::concat(parts, 1), ids);
}

}  // namespace

TEST_CASE("int8 weights change the perplexity of stories by less than half a percent") {
  const auto file = test::reference_path("llama_stories260k_golden.json");
  const char* const data = std::getenv("VITRAIL_DATA");
  if (!data || !file) {
    MESSAGE("not run: set VITRAIL_DATA to the folder that holds llama/stories260K.bin");
    return;
  }
  const auto path = std::filesystem::path(data) / "llama" / "stories260K.bin";
  const nlohmann::json golden = test::read_json(*file);
  std::vector<int64_t> ids = {1};
  for (const int64_t id : golden["greedy"]["ids"].get<std::vector<int64_t>>()) ids.push_back(id);
  const ag::NoGrad no_grad;
  for (const DType dtype : {DType::f32, DType::bf16}) {
    CAPTURE(dtype);
    const ag::Autocast autocast(dtype);
    const LanguageModel plain = open_language_model(path, {.dtype = dtype});
    const LanguageModel small = open_language_model(path, {.dtype = dtype, .int8 = true});
    const double expected = std::exp(loss_in_pieces(*plain.llama, ids, 64));
    for (const int64_t piece : {1, 8, 64}) {
      CAPTURE(piece);
      const double perplexity = std::exp(loss_in_pieces(*small.llama, ids, piece));
      CAPTURE(perplexity);
      CAPTURE(expected);
      CHECK(std::abs(perplexity / expected - 1) < 0.005);
    }
    test::check_refused([&] { write_language_model(small, "/nowhere"); }, "in 8 bits");
  }
  test::check_refused([&] { open_language_model(path, {.trained = true, .int8 = true}); }, "cannot be trained");
}
