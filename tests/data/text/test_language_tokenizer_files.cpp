#include "tests/support/json_file.h"
#include "tests/support/messages.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/data/text/language_tokenizer.h"

#include <bit>
#include <string>
#include <vector>

using namespace vitrail;
using nlohmann::json;
using Ids = std::vector<int64_t>;

namespace {

/// "<0x00>" to "<0xFF>" with the ids from first on.
void add_bytes(json& vocabulary, int first) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (size_t byte = 0; byte < 256; ++byte)
    vocabulary[std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">"] = first + int(byte);
}

/// Llama's kind with the merges "▁a", "▁ab".
json llama_file() {
  json file = {
      {"added_tokens",
       {{{"id", 0}, {"content", "<unk>"}, {"special", true}},
        {{"id", 1}, {"content", "<s>"}, {"special", true}},
        {{"id", 2}, {"content", "</s>"}, {"special", true}},
        {{"id", 264}, {"content", "<image>"}, {"special", false}, {"normalized", false}}}},
      {"normalizer",
       {{"type", "Sequence"},
        {"normalizers",
         {{{"type", "Prepend"}, {"prepend", "▁"}},
          {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}}}}},
      {"pre_tokenizer", nullptr},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single", {{{"SpecialToken", {{"id", "<s>"}}}}, {{"Sequence", {{"id", "A"}}}}}}}},
      {"decoder",
       {{"type", "Sequence"},
        {"decoders",
         {{{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}},
          {{"type", "ByteFallback"}},
          {{"type", "Fuse"}},
          {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
      {"model",
       {{"type", "BPE"},
        {"unk_token", "<unk>"},
        {"byte_fallback", true},
        {"fuse_unk", true},
        {"vocab",
         {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}, {"▁", 259}, {"a", 260}, {"b", 261}, {"▁a", 262}, {"▁ab", 263}}},
        {"merges", {"▁ a", "▁a b"}}}}};
  add_bytes(file["model"]["vocab"], 3);
  return file;
}

/// A folder with a tokenizer.json and files beside it.
struct ModelFolder {
  explicit ModelFolder(const json& file) { write("tokenizer.json", file); }
  void write(const char* name, const json& content) const { test::write_text(folder.path() / name, content.dump()); }
  auto open() const { return data::open_language_tokenizer(folder.path()); }
  test::TemporaryFolder folder;
};

/// A field of a protobuf message.
std::string bytes_field(int field, const std::string& bytes) {
  REQUIRE(bytes.size() < 128);
  return std::string{char(field << 3 | 2), char(bytes.size())} + bytes;
}
std::string number_field(int field, int number) { return {char(field << 3), char(number)}; }
std::string float_field(int field, float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  std::string bytes{char(field << 3 | 5)};
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(char(bits >> shift));
  return bytes;
}
std::string piece(const std::string& text, float score = 0, int type = 1) {
  return bytes_field(1, bytes_field(1, text) + float_field(2, score) + number_field(3, type));
}

/// A tokenizer.model with the pieces ▁, a, b, ▁ab, ab and one of the user. trainer, normalizer: more fields.
std::string sentencepiece_file(const std::string& trainer = "", const std::string& normalizer = "") {
  return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + piece("▁", -3) + piece("a", -4) +
         piece("b", -5) + piece("▁ab", -2) + piece("ab", -1) + piece("<u>", 0, 4) +
         bytes_field(2, number_field(3, 2) + trainer) + bytes_field(3, number_field(4, 0) + normalizer);
}

auto open_model(const std::string& content, const char* name = "tokenizer.model") {
  const test::TemporaryFolder folder;
  test::write_text(folder.path() / name, content);
  return data::open_language_tokenizer(folder.path() / name);
}

}  // namespace

TEST_CASE("tokenizer.json: spaces in front of each section, bytes of unknown characters, special tokens without text") {
  const ModelFolder model(llama_file());
  const auto tokenizer = model.open();
  CHECK(tokenizer->encode("ab a") == Ids{263, 262});
  CHECK(tokenizer->encode("ab<image>ab</s>\n") == Ids{263, 264, 263, 2, 259, 3 + '\n'});  // as LLaVA's chunks
  CHECK(tokenizer->encode("ab", "a") == Ids{260, 261});
  CHECK(tokenizer->encode("ab", "a</s>") == Ids{263});
  CHECK(tokenizer->encode("é") == Ids{259, 3 + 0xC3, 3 + 0xA9});
  CHECK(tokenizer->encode("").empty());
  CHECK(tokenizer->decode(Ids{1, 263, 2, 262}) == "ab a");
  CHECK(tokenizer->decode(Ids{264, 263}) == "<image> ab");
  CHECK(tokenizer->piece(263) == "▁ab");
  CHECK(tokenizer->id_of("<image>") == 264);
  CHECK(tokenizer->id_of("none") == std::nullopt);
  CHECK(tokenizer->size() == 265);
  CHECK(tokenizer->bos() == 1);
  CHECK(tokenizer->eos().empty());
}

TEST_CASE("files beside a tokenizer name bos, eos and pad, and add tokens") {
  const ModelFolder model(llama_file());
  model.write("tokenizer_config.json",
              {{"bos_token", {{"content", "<s>"}}},
               {"eos_token", "</s>"},
               {"pad_token", "<pad>"},
               {"added_tokens_decoder", {{"265", {{"content", "<pad>"}, {"special", true}}}}}});
  model.write("added_tokens.json", {{"<image>", 264}, {"<end>", 266}});
  model.write("config.json", {{"eos_token_id", 7}});
  CHECK(model.open()->eos() == Ids{2, 7});
  model.write("generation_config.json", {{"eos_token_id", {266, 2}}});
  const auto tokenizer = model.open();
  CHECK(tokenizer->bos() == 1);
  CHECK(tokenizer->eos() == Ids{2, 266});
  CHECK(tokenizer->pad() == 265);
  CHECK(tokenizer->encode("<end>") == Ids{266});
  CHECK(tokenizer->decode(Ids{265, 266}) == "<end>");
  model.write("tokenizer_config.json", {{"add_bos_token", false}});
  model.write("special_tokens_map.json", {{"eos_token", "<end>"}});
  CHECK(model.open()->bos() == std::nullopt);
  CHECK(model.open()->eos() == Ids{266, 2});
  CHECK(data::open_language_tokenizer(model.folder.path() / "tokenizer.json")->size() == 267);

  model.write("added_tokens.json", {{"<image>", 12}});
  test::check_refused([&] { model.open(); }, "'<0x09>' and '<image>' both have id 12");
  model.write("added_tokens.json", {{"<image>", 1 << 30}});
  test::check_refused([&] { model.open(); }, "ids lie in [0, 2097152)");
  model.write("added_tokens.json", json::array());
  test::check_refused([&] { model.open(); }, "added_tokens.json: is no JSON object");
}

TEST_CASE("tokenizer.json: what is not supported is refused by its name") {
  struct Row {
    const char *changes, *message;
  };
  const Row rows[] = {
      {R"({"model": {"type": "WordPiece"}})", "its model is WordPiece"},
      {R"({"model": {"end_of_word_suffix": "</w>"}})", "a BPE with the end_of_word_suffix '</w>'"},
      {R"({"model": {"continuing_subword_prefix": "##"}})", "continuing_subword_prefix '##'"},
      {R"({"model": {"dropout": 0.1}})", "a BPE with dropout"},
      {R"({"normalizer": {"type": "BertNormalizer", "normalizers": null}})", "its normalizer is BertNormalizer"},
      {R"({"normalizer": {"type": "Replace", "normalizers": null, "pattern": {"Regex": "x+"}}})",
       "its normalizer is a Replace of the expression x+"},
      {R"({"pre_tokenizer": {"type": "Whitespace"}})", "its pre_tokenizer is Whitespace"},
      {R"({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\d+"}, "behavior": "Isolated"}})",
       "a Split at the expression \\d+"},
      {R"({"pre_tokenizer": {"type": "Split", "pattern": {"String": "x"}, "behavior": "Removed"}})",
       "a Split with the behavior Removed"},
      {R"({"pre_tokenizer": {"type": "ByteLevel"}})", "a BPE over bytes with byte_fallback"},
      {R"({"pre_tokenizer": {"type": "ByteLevel"}, "model": {"byte_fallback": false}})",
       "its decoder is of another kind than its pre_tokenizer"},
      {R"({"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "last"}})",
       "Metaspace with the prepend_scheme last"},
      {R"({"decoder": {"type": "WordPiece"}})", "its decoder is WordPiece"},
      {R"({"decoder": null})", "its decoder is missing"},
      {R"({"post_processor": {"type": "BertProcessing"}})", "its post_processor is BertProcessing"},
      {R"({"post_processor": {"single": [{"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>"}}]}})",
       "a TemplateProcessing with '</s>' behind the text"},
  };
  for (const Row& row : rows) {
    json file = llama_file();
    file.merge_patch(json::parse(row.changes));
    CAPTURE(row.changes);
    CHECK_THROWS_WITH_AS(ModelFolder(file).open(), doctest::Contains(row.message), ConfigError);
  }
  const Row damaged[] = {
      {R"({"model": null})", "has no 'model'"},
      {R"({"model": {"vocab": null}})", "'model.vocab' must be an object"},
      {R"({"model": {"vocab": {"a": 261}}})", "'a' and 'b' both have id 261"},
      {R"({"model": {"vocab": {"a": "x"}}})", "'a' has no id"},
      {R"({"model": {"vocab": {"<0x1F>": null}}})", "'model.vocab' lacks '<0x1F>'"},
      {R"({"model": {"merges": ["a b c"]}})", "merge 1 is \"a b c\"; it must be two symbols"},
      {R"({"model": {"merges": ["b a"]}})", "merge 1 needs 'ba'"},
      {R"({"model": {"unk_token": "?"}})", "'model.unk_token' is \"?\""},
      {R"({"added_tokens": [{"content": "x"}]})", "an added token has no id"},
      {R"({"added_tokens": [{"id": 7}]})", "the added token 7 has no 'content'"},
      {R"({"added_tokens": [{"id": 7, "content": "<s>"}]})", "both have id 7"},
      {R"({"post_processor": {"single": [{"SpecialToken": {"id": "?"}}]}})", "its post_processor needs '?'"},
  };
  for (const Row& row : damaged) {
    json file = llama_file();
    file.merge_patch(json::parse(row.changes));
    CAPTURE(row.changes);
    CHECK_THROWS_WITH_AS(ModelFolder(file).open(), doctest::Contains(row.message), IoError);
  }
}

TEST_CASE("tokenizer.model: pieces by score, unknown characters, pieces of the user, special tokens") {
  const auto tokenizer = open_model(sentencepiece_file());
  CHECK(tokenizer->encode("ab") == Ids{6});  // "ab" first, then "▁ab"
  CHECK(tokenizer->encode("xyb") == Ids{3, 0, 5});
  CHECK(tokenizer->encode("<u>b</s>b") == Ids{3, 8, 5, 2, 3, 5});
  CHECK(tokenizer->decode(Ids{1, 3, 7, 3, 3, 8, 0, 2}) == "ab  <u>");
  CHECK(tokenizer->bos() == 1);
  CHECK(tokenizer->eos() == Ids{2});
  CHECK(tokenizer->pad() == std::nullopt);
  CHECK(open_model(sentencepiece_file("", number_field(3, 0)))->encode("ab") == Ids{7});  // no space in front

  const test::TemporaryFolder folder;
  test::write_text(folder.path() / "tokenizer.model", sentencepiece_file());
  test::write_text(folder.path() / "tokenizer_config.json", R"({"legacy": false})");
  CHECK(data::open_language_tokenizer(folder.path())->encode("b</s>b") == Ids{3, 5, 2, 5});
}

TEST_CASE("tokenizer.model: other kinds are refused by name, and damaged files without harm") {
  const auto refused = [](const std::string& content, const char* message) {
    CHECK_THROWS_WITH_AS(open_model(content), doctest::Contains(message), ConfigError);
  };
  refused(sentencepiece_file(number_field(3, 1)), "is a SentencePiece model of the type unigram");
  refused(sentencepiece_file("", bytes_field(1, "nmt_nfkc") + bytes_field(2, "table")), "its normalizer 'nmt_nfkc'");
  refused(sentencepiece_file("", number_field(5, 0)), "escape_whitespaces");
  refused(sentencepiece_file() + piece("x", 0, 5), "'x', has the type UNUSED");
  refused(sentencepiece_file() + piece("x", 0, 7), "'x', has the type 7");
  CHECK_THROWS_WITH_AS(open_model(sentencepiece_file() + piece("<0x00>", 0, 6)),
                       doctest::Contains("1 of the 256 bytes"), IoError);
  CHECK_THROWS_WITH_AS(open_model(sentencepiece_file() + piece("ab")), doctest::Contains("'ab' has two ids"), IoError);
  CHECK_THROWS_WITH_AS(open_model(""), doctest::Contains("has no pieces"), IoError);
  const std::string whole = sentencepiece_file();
  int broken = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    try {
      open_model(whole.substr(0, size));
    } catch (const Error&) {
      ++broken;
    }
  }
  CHECK(broken == int(whole.size()) - 1);  // it is whole without the normalizer
}

TEST_CASE("tokenizer.bin: damaged files are refused") {
  const std::string length(4, '\1');
  const auto token = [](const std::string& text) {
    return std::string(4, '\0') + char(text.size()) + std::string(3, '\0') + text;
  };
  std::string file = length + token("<unk>") + token("\n<s>\n") + token("\n</s>\n");
  CHECK_THROWS_WITH_AS(open_model(file, "t.bin"), doctest::Contains("has 3 pieces"), IoError);
  json bytes;
  add_bytes(bytes, 0);
  for (const auto& [text, id] : bytes.items()) file += token(text);
  CHECK(open_model(file + token(" "), "t.bin")->encode("\n") == Ids{259, 3 + '\n'});
  CHECK_THROWS_WITH_AS(open_model(file + "\1", "t.bin"), doctest::Contains("ends inside piece 259"), IoError);
  CHECK_THROWS_WITH_AS(open_model(file + std::string(8, '\1'), "t.bin"), doctest::Contains("piece 259 has 16843009"),
                       IoError);
  CHECK_THROWS_WITH_AS(open_model(length + token("a") + token("b") + token("c") + token("d"), "t.bin"),
                       doctest::Contains("piece 3 is 'd'"), IoError);
  CHECK_THROWS_WITH_AS(open_model("x", "tokens.txt"), doctest::Contains("is no tokenizer"), ConfigError);
  const test::TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(data::open_language_tokenizer(folder.path()), doctest::Contains("has no tokenizer.json"),
                       IoError);
}
