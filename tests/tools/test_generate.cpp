#include "tests/support/letters_tokenizer.h"
#include "tests/tools/program.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/recipes/models/language_model.h"

#include <nlohmann/json.hpp>

#include <string>

using namespace vitrail;
using nlohmann::json;
using test::check_says;
using test::Output;
using test::vitrail_program;

namespace {

/// A random model that knows letters, in folder/model with its tokenizer.
void write_letters_model(const std::filesystem::path& folder) {
  recipes::LanguageModel model;
  model.config.llama = {.vocab_size = test::kLetterTokens,
                        .embed_dim = 16,
                        .hidden_dim = 24,
                        .depth = 1,
                        .num_heads = 2,
                        .num_kv_heads = 1,
                        .context_length = 64};
  model.config.bos = 1;
  model.config.eos = {2};
  model.llama = std::make_shared<nn::Llama>(nn::Scope(7), model.config.llama);
  model.config.llama = model.llama->config;
  recipes::write_language_model(model, folder / "model");
  durable_write(folder / "model/tokenizer.bin", test::letters_tokenizer());
}

}  // namespace

TEST_CASE("vitrail generate: goes on from a text, the same way for the same seed") {
  const test::TemporaryFolder folder;
  write_letters_model(folder.path());
  const Output plain = vitrail_program(folder, "generate model -p 'ab c' -n 6");
  check_says(plain, 0, "ab c");
  check_says(plain, 0, "prompt: 6 tokens in");  // <s>, a space, and four letters
  CHECK(vitrail_program(folder, "generate model -p 'ab c' -n 6").out == plain.out);

  const auto drawn = [&](const std::string& options) {
    const Output output = vitrail_program(folder, "generate model -p ab --temperature 1 --json " + options);
    REQUIRE(output.code == 0);
    return json::parse(output.out);
  };
  const json first = drawn("--seed 3 -n 20"), again = drawn("--seed 3 -n 20"), other = drawn("--seed 4 -n 20");
  CHECK(first["ids"] == again["ids"]);
  CHECK(first["ids"] != other["ids"]);
  CHECK(first["prompt_ids"].size() == 4);
  CHECK(first["tokens_per_second"].get<double>() > 0);
  CHECK(drawn("--seed 3 -n 20 --top-k 1")["ids"] == drawn("--seed 9 -n 20 --top-p 0.0001")["ids"]);
  CHECK(drawn("-n 0")["text"] == "");
  CHECK(drawn("-n 400 --seed 1")["stop"] != "max tokens");

  // A stop text ends the answer before it.
  const std::string text = first["text"];
  size_t at = 0;
  while (at < text.size() && (text[at] < 'a' || text[at] > 'z')) ++at;
  if (at < text.size()) {
    const json stopped = drawn(std::string("--seed 3 -n 20 --stop ") + text[at]);
    CHECK(stopped["text"] == text.substr(0, at));
    CHECK(stopped["stop"] == "stop string");
  }
}

TEST_CASE("vitrail generate: ids stand for a text where there is no tokenizer") {
  const test::TemporaryFolder folder;
  write_letters_model(folder.path());
  std::filesystem::rename(folder.path() / "model/tokenizer.bin", folder.path() / "letters.bin");
  check_says(vitrail_program(folder, "generate model -p ab"), 2, "give one by --tokenizer");
  check_says(vitrail_program(folder, "generate model -p ab -n 3 --tokenizer letters.bin"), 0, "ab");
  const Output ids = vitrail_program(folder, "generate model --prompt-ids 1 5 9 -n 3 --json --logits l.safetensors");
  REQUIRE(ids.code == 0);
  const json answer = json::parse(ids.out);
  CHECK(answer["prompt_ids"] == json{1, 5, 9});
  CHECK(answer["ids"].size() == 3);
  const Tensor logits = safetensors::Reader(folder.path() / "l.safetensors").read("logits");
  CHECK(logits.shape() == Shape{3, test::kLetterTokens});
  check_says(vitrail_program(folder, "generate model --prompt-ids 1 5 -n 3 --precision bf16"), 0, "answer: 3 tokens");
  check_says(vitrail_program(folder, "generate model --prompt-ids 999"), 2,
             "has the id 999; the model has ids 0 to 285");
  check_says(vitrail_program(folder, "generate model --prompt-ids 1 --stop x"), 2, "--stop needs a tokenizer");
  check_says(vitrail_program(folder, "generate none"), 2, "none: no such file or folder");
  check_says(vitrail_program(folder, "generate model --prompt-ids 1 --temperature -1"), 2, "temperature is -1");
}

TEST_CASE("vitrail convert: a language model becomes a folder of Hugging Face") {
  const test::TemporaryFolder folder;
  write_letters_model(folder.path());
  check_says(vitrail_program(folder, "convert model -o copy"), 0, "copy/model.safetensors");
  const std::string options = " -p ab -n 9";
  CHECK(vitrail_program(folder, "generate copy" + options).out ==
        vitrail_program(folder, "generate model" + options).out);
  check_says(vitrail_program(folder, "convert model --layout timm -o copy.safetensors"), 2, "--layout hf alone");
}
