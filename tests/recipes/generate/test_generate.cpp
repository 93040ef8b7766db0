#include "tests/support/close.h"
#include "tests/support/messages.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/ops.h"
#include "vitrail/recipes/generate/answer_text.h"
#include "vitrail/recipes/generate/generate.h"

#include <algorithm>
#include <cmath>

using namespace vitrail;
using namespace vitrail::recipes;
using test::check_refused;

namespace {

using Ids = std::vector<int64_t>;

nn::LlamaConfig small_model() {
  return {.vocab_size = 23,
          .embed_dim = 16,
          .hidden_dim = 24,
          .depth = 2,
          .num_heads = 4,
          .num_kv_heads = 2,
          .context_length = 40};
}

/// A model with weights so large that its answers are not dull.
struct Talker {
  nn::Llama model{nn::Scope(2), small_model()};
  Talker() {
    for (nn::Parameter* p : model.parameters())
      p->update([](Tensor& t) { t.copy_(core::affine(t, t.rank() > 1 ? 20 : 1)); });
  }
};

/// The answer by whole forward passes, without a cache.
Ids slow_greedy(nn::Llama& model, Ids text, int64_t count) {
  const size_t prompt = text.size();
  for (int64_t i = 0; i < count; ++i) {
    const Tensor logits = model(tensor(text, {1, int64_t(text.size())})).value();
    const std::vector<double> last = logits[0][-1].to_vector();
    text.push_back(std::max_element(last.begin(), last.end()) - last.begin());
  }
  return {text.begin() + int64_t(prompt), text.end()};
}

std::vector<double> probabilities(const std::vector<float>& logits, const Sampling& sampling) {
  const auto n = int64_t(logits.size());
  return token_probabilities(tensor(logits, {n}), sampling);
}

/// A vocabulary of bytes: the id of a token is its byte; id 256 is special.
class ByteTokenizer final : public data::LanguageTokenizer {
 public:
  Ids encode(std::string_view text, std::string_view /*before*/) const override {
    Ids ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::string bytes_of(int64_t id) const override { return id < 256 ? std::string(1, char(id)) : ""; }
  int64_t size() const override { return 257; }
  std::string piece(int64_t id) const override { return bytes_of(id); }
  std::optional<int64_t> id_of(std::string_view /*piece*/) const override { return {}; }
  std::optional<int64_t> bos() const override { return {}; }
  Ids eos() const override { return {256}; }
  std::optional<int64_t> pad() const override { return {}; }
};

/// The pieces of text that an AnswerText gives for the bytes of the answer; "|" between them.
std::string shown(const std::string& answer, std::vector<std::string> stops) {
  const ByteTokenizer tokenizer;
  AnswerText text(tokenizer, std::move(stops), true);
  std::string result;
  for (const char c : answer) {
    result += text.add(static_cast<unsigned char>(c));
    if (!text.stopped()) result += "|";
  }
  return result + text.finish();
}

}  // namespace

TEST_CASE("generate: greedy answers are those of whole forward passes") {
  Talker t;
  const Ids prompt = {1, 5, 9};
  const Ids expected = slow_greedy(t.model, prompt, 12);
  CHECK(std::count(expected.begin(), expected.end(), expected[0]) < 12);
  Ids heard;
  const Generation answers = generate(t.model, prompt, {.max_tokens = 12}, [&](int64_t sample, int64_t id) {
    CHECK(sample == 0);
    heard.push_back(id);
    return true;
  });
  CHECK(answers.samples[0].ids == expected);
  CHECK(heard == expected);
  CHECK(answers.samples[0].stop == Stop::length);
  CHECK(answers.prompt_tokens == 3);
  CHECK(answers.decoded == 11);
  CHECK(answers.prefill_rate() > 0);
  CHECK(answers.decode_rate() > 0);

  // It ends before a stop id, and where the listener says so.
  const auto stop = std::find(expected.begin() + 3, expected.end(), expected[5]);
  const Generation stopped = generate(t.model, prompt, {.max_tokens = 12, .stop_ids = {22, *stop}});
  const auto first = std::find(expected.begin(), expected.end(), *stop);
  CHECK(stopped.samples[0].ids == Ids(expected.begin(), first));
  CHECK(stopped.samples[0].stop == Stop::token);
  const Generation cut = generate(t.model, prompt, {.max_tokens = 12}, [](int64_t, int64_t) { return false; });
  CHECK(cut.samples[0].ids == Ids{expected[0]});
  CHECK(cut.samples[0].stop == Stop::listener);
}

TEST_CASE("generate: the prompts of a batch are answered as each by itself") {
  Talker t;
  const std::vector<Ids> prompts = {{1, 5, 9, 2}, {1, 7}, {3}};
  for (const bool left : {true, false}) {
    CAPTURE(left);
    Tensor ids = zeros({3, 4}, DType::i64), mask = zeros({3, 4}, DType::u8);
    for (int64_t b = 0; b < 3; ++b) {
      const auto n = int64_t(prompts[size_t(b)].size());
      for (int64_t i = 0; i < n; ++i) {
        const int64_t at = b * 4 + i + (left ? 4 - n : 0);
        ids.data<int64_t>()[at] = prompts[size_t(b)][size_t(i)];
        mask.data<uint8_t>()[at] = 1;
      }
    }
    nn::KvCache cache;
    const Generation answers =
        generate(t.model, t.model.embed(ids).value(), {.mask = mask}, cache, {.max_tokens = 9, .stop_ids = {17}});
    for (size_t b = 0; b < 3; ++b) {
      Ids expected = slow_greedy(t.model, prompts[b], 9);
      expected.erase(std::find(expected.begin(), expected.end(), 17), expected.end());
      CHECK(answers.samples[b].ids == expected);
    }
  }
  nn::KvCache cache;
  check_refused(
      [&] {
        generate(t.model, t.model.embed(zeros({1, 2}, DType::i64)).value(), {.mask = zeros({1, 2}, DType::u8)}, cache,
                 {});
      },
      "prompt 0 is all padding");
}

TEST_CASE("generate: a long prompt is read in pieces, and the context ends an answer") {
  nn::LlamaConfig c = small_model();
  c.context_length = 1100;
  nn::Llama model(nn::Scope(2, DType::f64), c);
  Ids prompt;
  for (int64_t i = 0; i < 1090; ++i) prompt.push_back(i * 7 % 23);
  const Generation answers = generate(model, prompt, {.max_tokens = 20});
  CHECK(answers.samples[0].stop == Stop::context);
  CHECK(answers.samples[0].ids.size() == 11);
  CHECK(answers.samples[0].ids == slow_greedy(model, prompt, 11));
  CHECK(to_string(answers.samples[0].stop) == "end of context");
  const Generation none = generate(model, prompt, {.max_tokens = 0});
  CHECK(none.samples[0].ids.empty());
  CHECK(none.samples[0].stop == Stop::length);
  check_refused([&] { generate(model, Ids(1101, 1), {}); }, "the text has 1101 tokens; the context has 1100");
  check_refused([&] { generate(model, Ids(), {}); }, "the prompt has no token");
  check_refused([&] { generate(model, prompt, {.max_tokens = -1}); }, "max_tokens is -1");
}

TEST_CASE("generate: several questions go on from one image in the cache") {
  Talker t;
  nn::KvCache cache;
  const Ids image = {4, 5, 6, 7};
  const auto embedded = [&](const Ids& ids) { return t.model.embed(tensor(ids, {1, int64_t(ids.size())})).value(); };
  t.model.hidden(embedded(image), &cache);
  for (const Ids& question : {Ids{1, 2}, Ids{9}}) {
    cache.truncate(4);
    Ids whole = image;
    whole.insert(whole.end(), question.begin(), question.end());
    const Generation answers = generate(t.model, embedded(question), {}, cache, {.max_tokens = 6});
    CHECK(answers.samples[0].ids == slow_greedy(t.model, whole, 6));
  }
}

TEST_CASE("generate: bf16 weights compute in bf16") {
  nn::Llama low(nn::Scope(2).frozen(DType::bf16), small_model());
  const Generation answers = generate(low, {1, 5, 9}, {.max_tokens = 5});
  CHECK(answers.samples[0].ids.size() == 5);
  const ag::Autocast precision(DType::bf16);
  CHECK(answers.samples[0].ids == slow_greedy(low, {1, 5, 9}, 5));
}

TEST_CASE("sampling: the same seed gives the same tokens") {
  Talker t;
  const auto answer = [&](uint64_t seed) {
    return generate(t.model, {1}, {.max_tokens = 20, .sampling = {.temperature = 3, .seed = seed}}).samples[0].ids;
  };
  CHECK(answer(1) == answer(1));
  CHECK(answer(1) != answer(2));
}

TEST_CASE("sampling: temperature, top-k and top-p") {
  const std::vector<float> logits = {std::log(0.4F), std::log(0.3F), std::log(0.2F), std::log(0.1F)};
  const auto near = [](const std::vector<double>& found, const std::vector<double>& expected) {
    REQUIRE(found.size() == expected.size());
    for (size_t i = 0; i < found.size(); ++i) CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-6));
  };
  near(probabilities(logits, {}), {1, 0, 0, 0});
  near(probabilities(logits, {.temperature = 1}), {0.4, 0.3, 0.2, 0.1});
  near(probabilities(logits, {.temperature = 0.5}), {16. / 30, 9. / 30, 4. / 30, 1. / 30});
  near(probabilities(logits, {.temperature = 1, .top_k = 2}), {4. / 7, 3. / 7, 0, 0});
  near(probabilities(logits, {.temperature = 1, .top_k = 9}), {0.4, 0.3, 0.2, 0.1});
  near(probabilities({1, 1, 1, 0}, {.temperature = 1, .top_k = 2}), {1. / 3, 1. / 3, 1. / 3, 0});  // equal ones stay
  // Those go whose probabilities add up to 1 - p or less, from the least likely on.
  near(probabilities(logits, {.temperature = 1, .top_p = 0.85}), {4. / 9, 3. / 9, 2. / 9, 0});
  near(probabilities(logits, {.temperature = 1, .top_p = 0.65}), {4. / 7, 3. / 7, 0, 0});
  near(probabilities(logits, {.temperature = 1, .top_p = 0.01}), {1, 0, 0, 0});
  // top-k first, then top-p of what it leaves: 4/7 and 3/7.
  near(probabilities(logits, {.temperature = 1, .top_k = 2, .top_p = 0.5}), {1, 0, 0, 0});
}

TEST_CASE("sampling: top-p of a large vocabulary is that of a plain sort") {
  Rng rng(8, "logits");
  for (const double p : {0.02, 0.5, 0.9, 0.999}) {
    const Tensor logits = rng.normal({500}, 0, 3, DType::f64);
    const std::vector<double> all = token_probabilities(logits, {.temperature = 1});
    std::vector<double> sorted = all;
    std::sort(sorted.begin(), sorted.end());
    double sum = 0, least = sorted.back();  // of the tokens that stay
    for (const double probability : sorted)
      if ((sum += probability) > 1 - p) {
        least = probability;
        break;
      }
    double kept = 0;
    for (const double probability : all) kept += probability >= least ? probability : 0;
    const std::vector<double> found = token_probabilities(logits, {.temperature = 1, .top_p = p});
    for (size_t i = 0; i < all.size(); ++i)
      CHECK(found[i] == doctest::Approx(all[i] >= least ? all[i] / kept : 0).epsilon(1e-9));
  }
}

TEST_CASE("sampling: tokens are drawn as often as they are likely") {
  const std::vector<float> logits = {std::log(0.5F), std::log(0.3F), std::log(0.15F), std::log(0.05F)};
  Sampler sampler({.temperature = 1, .top_k = 3, .seed = 5});
  std::vector<int64_t> count(4);
  for (int i = 0; i < 20000; ++i) ++count[size_t(sampler.next(tensor(logits, {4})))];
  CHECK(double(count[0]) / 20000 == doctest::Approx(0.5 / 0.95).epsilon(0.03));
  CHECK(double(count[1]) / 20000 == doctest::Approx(0.3 / 0.95).epsilon(0.04));
  CHECK(double(count[2]) / 20000 == doctest::Approx(0.15 / 0.95).epsilon(0.05));
  CHECK(count[3] == 0);
}

TEST_CASE("sampling: refuses settings and logits that make no sense") {
  check_refused([] { probabilities({1, 2}, {.temperature = -1}); }, "temperature is -1");
  check_refused([] { probabilities({1, 2}, {.temperature = 1, .top_k = -1}); }, "top_k is -1");
  check_refused([] { probabilities({1, 2}, {.temperature = 1, .top_p = 0}); }, "top_p is 0; it must be above 0");
  check_refused([] { probabilities({1, NAN}, {}); }, "a logit of the model is nan");
}

TEST_CASE("answer text: a stop string ends the text, wherever tokens begin and end") {
  CHECK(shown("abc", {}) == "a|b|c|");
  CHECK(shown("one</s>two", {"</s>"}) == "o|n|e||||");
  CHECK(shown("a<b", {"</s>"}) == "a||<b|");  // "<" is held until it cannot begin the stop string
  CHECK(shown("a<", {"</s>"}) == "a||<");     // and given at the end
  CHECK(shown("aaab", {"aab"}) == "||a|");    // the longest beginning counts
  CHECK(shown("xUSER:y", {"\n\n", "USER:"}) == "x|||||");
  CHECK(shown("\xc3\xa9.", {}) == "|\xc3\xa9|.|");  // whole characters
  check_refused([] { shown("a", {""}); }, "a stop string is empty");
}
