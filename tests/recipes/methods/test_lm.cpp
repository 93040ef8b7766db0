#include "tests/support/letters_tokenizer.h"
#include "tests/support/messages.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/training_run.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/generate/generate.h"
#include "vitrail/recipes/methods/lm_data.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace vitrail;
using namespace vitrail::recipes;
using test::check_refused;
using test::Outcome;
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kLmRecipe = R"(
recipe: lm
name: letters
model: {embed_dim: 16, hidden_dim: 24, depth: 1, num_heads: 2, num_kv_heads: 1}
data: {context_length: 12, val_share: 0.1}
optim: {lr: 1.0e-2}
train: {epochs: 15, batch_size: 8, eval_every: 5}
)";

/// Texts that say the same words again and again, and a tokenizer of letters.
struct LmFolder {
  test::TemporaryFolder temp;

  LmFolder() {
    std::string text;
    for (int i = 0; i < 60; ++i) text += i % 3 == 0 ? "the cat sat. <|endoftext|>\n" : "a dog ran to the cat\n";
    fs::create_directories(path() / "texts");
    test::write_text(path() / "texts/a.txt", text);
    test::write_text(path() / "texts/b.txt", text + "<|endoftext|>");
    test::write_text(path() / "texts/notes.md", "not read");
    test::write_text(path() / "letters.bin", test::letters_tokenizer());
  }
  const fs::path& path() const { return temp.path(); }
  /// resolved: takes the resolved recipe, which a checkpoint keeps.
  LmConfig config(const std::vector<std::string>& changes = {}, std::string* resolved = nullptr) const {
    LmConfig settings;
    Config config(settings);
    config.read_text(kLmRecipe, "letters.yaml");
    config.set("data.root=" + (path() / "texts").string());
    config.set("data.tokenizer=" + (path() / "letters.bin").string());
    for (const std::string& change : changes) config.set(change);
    if (resolved != nullptr) *resolved = config.yaml(false);
    return settings;
  }
};

}  // namespace

TEST_CASE("lm: texts become tokens, each between its start and its end") {
  const test::TemporaryFolder folder;
  test::write_text(folder.path() / "letters.bin", test::letters_tokenizer());
  test::write_text(folder.path() / "a.txt", "\nab \n---  c\n---\n\n");
  const auto tokenizer = data::open_language_tokenizer(folder.path() / "letters.bin");
  const auto text = read_texts((folder.path() / "a.txt").string(), "---", *tokenizer);
  const int32_t a = 3 + 256 + 1, space = a - 1;
  std::vector<int32_t> expected = {1, space, a, a + 1};
  if (tokenizer->eos().front() != 1) expected.push_back(int32_t(tokenizer->eos().front()));
  expected.insert(expected.end(), {1, space, a + 2});
  if (tokenizer->eos().front() != 1) expected.push_back(int32_t(tokenizer->eos().front()));
  CHECK(text == expected);
  check_refused([&] { read_texts((folder.path() / "none").string(), "", *tokenizer); }, "none: no such file or folder");
  fs::create_directories(folder.path() / "empty");
  check_refused([&] { read_texts((folder.path() / "empty").string(), "", *tokenizer); }, "has no .txt file");
  test::write_text(folder.path() / "empty/x.txt", " \n");
  check_refused([&] { read_texts((folder.path() / "empty").string(), "", *tokenizer); }, "has no text");
}

TEST_CASE("lm: a run that stops and resumes ends with the same bytes, and has learned") {
  const LmFolder f;
  for (const std::vector<std::string>& changes : {std::vector<std::string>{}, {"train.shards=4", "model.tied=false"}}) {
    const LmConfig config = f.config(changes);
    const RunFolder whole = RunFolder::create(f.path() / ("whole" + std::to_string(changes.size())), "letters");
    const Outcome expected = test::run(*config.build(), whole);
    REQUIRE(expected.code == 0);
    const RunFolder parts = RunFolder::create(f.path() / ("parts" + std::to_string(changes.size())), "letters");
    const auto stopped = config.build();
    test::StopAfter stop(*stopped, 7);
    CHECK(test::run(stop, parts).code == 130);
    const Outcome resumed = test::run(*config.build(), parts);
    CHECK(resumed.code == 0);
    CHECK(resumed.last == expected.last);
    CHECK(resumed.result["metrics"] == expected.result["metrics"]);

    const auto& metrics = expected.result["metrics"];
    const double loss = metrics["loss"];
    CHECK(loss < 1.5);  // random letters: log(286) = 5.7
    CHECK(metrics["perplexity"].get<double>() == doctest::Approx(std::exp(loss)));
  }
}

TEST_CASE("lm: a run is a language model, with its tokenizer") {
  const LmFolder f;
  const RunFolder folder = RunFolder::create(f.path() / "run", "letters");
  std::string resolved;
  const Outcome outcome = test::run(*f.config({}, &resolved).build(), folder, resolved);
  REQUIRE(outcome.code == 0);
  fs::remove(f.path() / "letters.bin");
  const LanguageModel model = open_language_model(f.path() / "run");
  nn::LlamaConfig expected = f.config().llama(test::kLetterTokens);
  expected.head_dim = 8;
  CHECK(model.config.llama == expected);
  CHECK(model.tokenizer()->encode("cat").size() == 4);
  const LanguageModel again = [&] {
    write_language_model(model, f.path() / "folder");
    return open_language_model(f.path() / "folder");
  }();
  const std::vector<int64_t> prompt = {1};
  const auto ids = generate(*model.llama, prompt, {.max_tokens = 10}).samples[0].ids;
  CHECK(generate(*again.llama, prompt, {.max_tokens = 10}).samples[0].ids == ids);
  const std::string text = model.tokenizer()->decode(ids);
  CAPTURE(text);
  CHECK((text.starts_with("the") || text.starts_with("a dog")));
}

TEST_CASE("lm: a run begins with the weights, the sizes and the tokenizer of another, or of a folder") {
  const LmFolder f;
  const std::string run = (f.path() / "run").string(), folder = (f.path() / "folder").string();
  std::string resolved;
  REQUIRE(
      test::run(*f.config({"train.epochs=5"}, &resolved).build(), RunFolder::create(run, "letters"), resolved).code ==
      0);
  const LanguageModel first = open_language_model(run);
  write_language_model(first, folder);
  for (const std::string& init : {run, folder}) {
    CAPTURE(init);
    LmConfig settings;
    Config config(settings);
    config.read_text(kLmRecipe, "letters.yaml");
    config.set("model.embed_dim=~");
    config.set("model.checkpoint=true");
    config.set("data.root=" + (f.path() / "texts").string());
    config.set("init=" + init);
    CHECK(settings.settle(config).size() == 1);
    CHECK(settings.model.embed_dim == 16);
    CHECK(settings.model.checkpoint);
    CHECK(settings.settle(config).empty());  // as a resumed run does
    const auto recipe = settings.build();
    CHECK(recipe->begin().size() == 1);
    const TensorMap begun = sub_map(recipe->state(), "model");
    for (const auto& [name, value] : nn::state(*first.llama)) CHECK(value.to_vector() == begun.at(name).to_vector());
  }
  check_refused([&] { f.config({"model.embed_dim=~"}).build(); }, "init=FOLDER or RUN takes a language model");
  check_refused([&] { f.config({"model.vocab_size=100"}).build(); }, "and the model 100 rows");
}

TEST_CASE("lm: refuses data and settings that do not fit, naming the key") {
  const LmFolder f;
  const auto refused = [&](const std::vector<std::string>& changes, const std::string& text) {
    check_refused([&] { f.config(changes).build(); }, text);
  };
  refused({"data.root=''"}, "[data.root] is empty");
  refused({"data.tokenizer=none.json"}, "'none.json' is no file or folder");
  refused({"data.tokenizer=" + f.path().string()}, "has no tokenizer.json, tokenizer.model or tokenizer.bin");
  refused({"data.context_length=99999"}, "[data.context_length] 99999 is more than the");
  refused({"data.val_share=0.0001"}, "[data.val_share]");
  refused({"train.batch_size=9999"}, "[train.batch_size] 9999 is more than the");
  refused({"train.shards=3"}, "[train.shards] 3 does not divide train.batch_size 8");
  refused({"model.num_heads=3"}, "num_heads 3");

  // A checkpoint of another tokenizer or another model.
  const auto before = f.config().build();
  const TensorMap state = before->state();
  const auto other = f.config({"model.rope_theta=500"}).build();
  check_refused([&] { other->load_state(state); }, "its language model is not the one of now");
  std::string letters = test::letters_tokenizer();
  letters.back() = '!';
  test::write_text(f.path() / "letters.bin", letters);
  const auto changed = f.config().build();
  check_refused([&] { changed->load_state(state); }, "its tokenizer is not the one of now");
}
