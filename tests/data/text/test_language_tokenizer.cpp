#include "tests/support/json_file.h"
#include "tests/support/messages.h"
#include "tests/support/reference.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"
#include "vitrail/data/text/language_tokenizer.h"
#include "vitrail/data/text/unicode.h"

#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

using namespace vitrail;
using data::LanguageTokenizer;
using nlohmann::json;
using Ids = std::vector<int64_t>;

namespace {

/// llama2.c's tokenizer of 512 tokens, which is not ours to ship.
std::shared_ptr<const LanguageTokenizer> stories_tokenizer() {
  const char* folder = std::getenv("VITRAIL_DATA");
  const std::filesystem::path path = std::filesystem::path(folder ? folder : "") / "llama/tok512.bin";
  if (!folder || !std::filesystem::exists(path)) {
    MESSAGE("not run: set VITRAIL_DATA to the folder that holds llama/tok512.bin");
    return nullptr;
  }
  return data::open_language_tokenizer(path);
}

std::string from_base64(const std::string& text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = (bits << 6) | uint32_t(kDigits.find(c));
    if ((count += 6) >= 8) bytes.push_back(char(bits >> (count -= 8)));
  }
  return bytes;
}

/// Every line of language_tokenizers.json: a file of one form, and texts with their ids.
std::vector<json> vectors() {
  const auto path = test::reference_path("language_tokenizers.json");
  return path ? test::read_json(*path).get<std::vector<json>>() : std::vector<json>{};
}

/// The tokenizer of such a line.
std::shared_ptr<const LanguageTokenizer> tokenizer_of(const json& line) {
  const test::TemporaryFolder folder;
  const bool is_json = line.contains("tokenizer");
  const auto path = folder.path() / (is_json ? "tokenizer.json" : "tokenizer.model");
  test::write_text(path, is_json ? line["tokenizer"].dump() : from_base64(line["model"]));
  return data::open_language_tokenizer(path);
}

/// The text of ids, decoded one by one; each part must be whole characters.
std::string streamed(const LanguageTokenizer& tokenizer, const Ids& ids, bool continues = false) {
  data::StreamDecoder decoder(tokenizer, continues);
  std::string text;
  for (const int64_t id : ids) {
    const std::string part = decoder.add(id);
    CHECK(data::encode_utf8(data::decode_utf8(part)) == part);
    text += part;
  }
  return text + decoder.finish();
}

}  // namespace

TEST_CASE("tokenizer.bin: ids and texts are llama2.c's") {
  const auto tokenizer = stories_tokenizer();
  const auto path = test::reference_path("llama_stories260k_golden.json");
  if (!tokenizer || !path) return;
  const json golden = test::read_json(*path);
  CHECK(tokenizer->size() == 512);
  CHECK(tokenizer->bos() == 1);
  CHECK(tokenizer->eos() == Ids{2, 1});
  for (const json& row : golden["tokenize"]) {
    const auto text = row["text"].get<std::string>();
    CAPTURE(text);
    Ids ids{tokenizer->bos().value()};
    const Ids words = tokenizer->encode(text);
    ids.insert(ids.end(), words.begin(), words.end());
    CHECK(ids == row["ids_with_bos"].get<Ids>());
    CHECK(tokenizer->decode(ids) == text);
  }
  const Ids story = golden["greedy"]["ids"];
  CHECK(tokenizer->decode(story) == golden["greedy"]["text"]);
  CHECK(streamed(*tokenizer, story) == golden["greedy"]["text"]);
}

TEST_CASE(
    "tokenizer.json and tokenizer.model: ids and texts are those of tokenizers and sentencepiece, in every form") {
  const std::vector<json> lines = vectors();
  for (const json& line : lines) {
    const auto tokenizer = tokenizer_of(line);
    for (const json& row : line["texts"]) {
      const std::string form = line["form"], text = row["input"];
      CAPTURE(form);
      CAPTURE(text);
      const Ids ids = tokenizer->encode(text);
      CHECK(ids == row["ids"].get<Ids>());
      CHECK(tokenizer->decode(ids) == row["text"]);
      CHECK(streamed(*tokenizer, ids) == row["text"]);
    }
  }
  CHECK(lines.size() == 12);
}

TEST_CASE("a text in two parts has the ids of the whole text if they are cut between tokens") {
  int cuts = 0;
  for (const json& line : vectors()) {
    const auto tokenizer = tokenizer_of(line);
    for (const std::string whole :
         {"the cat<image> a dog", "USER: the cat ASSISTANT: a dog</s>the red<|im_end|>circle"}) {
      for (size_t cut = 1; cut < whole.size(); ++cut) {
        const std::string form = line["form"], before = whole.substr(0, cut), behind = whole.substr(cut);
        bool between = behind[0] == ' ' && before.back() != ' ';  // or behind a token
        for (const char* token : {"</s>", "<|im_end|>", "<image>"})
          if (before.ends_with(token)) between = tokenizer->id_of(token).has_value();
        if (!between) continue;
        CAPTURE(form);
        CAPTURE(before);
        CAPTURE(behind);
        Ids ids = tokenizer->encode(before);
        const Ids more = tokenizer->encode(behind, before);
        ids.insert(ids.end(), more.begin(), more.end());
        CHECK(ids == tokenizer->encode(whole));
        ++cuts;
      }
    }
  }
  CHECK(cuts > 20);
}

TEST_CASE("any bytes are encoded, and streams give whole characters of any ids") {
  Rng rng(11, 0);
  for (const json& line : vectors()) {
    const auto tokenizer = tokenizer_of(line);
    for (int i = 0; i < 50; ++i) {
      std::string bytes;
      for (int n = 0; n < 20; ++n) bytes.push_back(char(rng.next()));
      for (const int64_t id : tokenizer->encode(bytes)) CHECK(id < tokenizer->size());
      Ids ids;
      while (ids.size() < 30)
        if (const auto id = int64_t(rng.next() % uint64_t(tokenizer->size())); id < 300) ids.push_back(id);
      CHECK(streamed(*tokenizer, ids) == tokenizer->decode(ids));
    }
    CHECK_THROWS_AS(tokenizer->decode(Ids{tokenizer->size()}), ConfigError);
    CHECK_THROWS_AS(tokenizer->decode(Ids{-1}), ConfigError);
  }
}

TEST_CASE("a stream holds bytes back until the character is complete, and gives U+FFFD for what stays incomplete") {
  for (const json& line : vectors()) {
    if (line["form"] != "legacy") continue;
    const auto tokenizer = tokenizer_of(line);
    const auto byte = [&](const char* piece) { return tokenizer->id_of(piece).value(); };
    data::StreamDecoder decoder(*tokenizer);
    CHECK(decoder.add(byte("<0xF0>")).empty());
    CHECK(decoder.add(byte("<0x9F>")).empty());
    CHECK(decoder.add(byte("<0x90>")).empty());
    CHECK(decoder.add(byte("<0xB6>")) == "🐶");
    CHECK(decoder.add(byte("<0xE2>")).empty());
    CHECK(decoder.add(byte("<0x82>")).empty());
    CHECK(decoder.add(byte("<0x41>")) == "\uFFFDA");
    CHECK(decoder.add(byte("<0xC3>")).empty());
    CHECK(decoder.finish() == "\uFFFD");
    const int64_t space = byte("▁");
    CHECK(decoder.add(space).empty());  // the space in front of a text
    CHECK(decoder.add(space) == " ");
    CHECK(data::StreamDecoder(*tokenizer, true).add(space) == " ");
  }
}

TEST_CASE("a long text takes n log n time" * doctest::test_suite("slow")) {
  using Clock = std::chrono::steady_clock;
  for (const json& line : vectors()) {
    const auto tokenizer = tokenizer_of(line);
    for (const std::string part : {"a", "the cat ", "<", " ", "\n", "1", "e\u0301", "\xFF"}) {
      std::string text;
      while (text.size() < 100000) text += part;
      const std::string form = line["form"];
      CAPTURE(form);
      CAPTURE(part);
      const auto begin = Clock::now();
      const Ids ids = tokenizer->encode(text);
      CHECK(std::chrono::duration<double>(Clock::now() - begin).count() < 2);
      CHECK(tokenizer->decode(ids).size() <= 3 * text.size() + 3);
    }
  }
}
