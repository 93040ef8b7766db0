#include "vitrail/core/error.h"
#include "vitrail/data/text/tokenizer_json.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>

using namespace vitrail;
using nlohmann::json;

namespace {

/// A vocabulary with two merges, as the library tokenizers writes it.
json small() {
  const data::Vocabulary vocabulary(std::vector<data::Vocabulary::Symbols>{{"a", "b"}, {"ab", "c</w>"}});
  json file = {{"version", "1.0"},
               {"truncation", nullptr},
               {"added_tokens", json::array()},
               {"normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "Lowercase"}}}}}},
               {"model",
                {{"type", "BPE"},
                 {"dropout", nullptr},
                 {"continuing_subword_prefix", ""},
                 {"end_of_word_suffix", "</w>"},
                 {"fuse_unk", false},
                 {"merges", {"a b", "ab c</w>"}}}}};
  for (int64_t id = 0; id < vocabulary.size(); ++id) file["model"]["vocab"][vocabulary.symbol(id)] = id;
  return file;
}

data::Vocabulary parse(const json& file) { return data::parse_tokenizer_json(file.dump(), "tokenizer.json"); }

}  // namespace

TEST_CASE("tokenizer.json: merges as texts or pairs, special tokens in the vocabulary or added") {
  CHECK(parse(small()).merges() == std::vector<data::Vocabulary::Symbols>{{"a", "b"}, {"ab", "c</w>"}});
  json pairs = small();
  pairs["model"]["merges"] = json::array({json::array({"a", "b"}), json::array({"ab", "c</w>"})});
  CHECK(parse(pairs).merges() == parse(small()).merges());
  json added = small();
  for (const char* token : {"<|startoftext|>", "<|endoftext|>"}) {
    added["added_tokens"].push_back({{"id", added["model"]["vocab"][token]}, {"content", token}, {"special", true}});
    added["model"]["vocab"].erase(token);
  }
  CHECK(parse(added).size() == 516);
  json bare = {{"model", small()["model"]}};
  bare["model"].erase("type");
  CHECK(parse(bare).size() == 516);
}

TEST_CASE("tokenizer.json: other kinds are refused by name") {
  struct Row {
    const char *changes, *message;
  };
  const Row kinds[] = {
      {R"({"model": {"type": "WordPiece"}})", "is a tokenizer of the type WordPiece"},
      {R"({"model": {"type": "Unigram"}})", "is a tokenizer of the type Unigram"},
      {R"({"model": {"end_of_word_suffix": null}})", "is a BPE with '' at the ends of words"},
      {R"({"model": {"continuing_subword_prefix": "##"}})", "'model.continuing_subword_prefix' is \"##\""},
      {R"({"model": {"byte_fallback": true}})", "'model.byte_fallback' is true"},
      {R"({"normalizer": {"type": "NFC", "normalizers": null}})", "its normalizer keeps capital letters"},
  };
  for (const Row& row : kinds) {
    json file = small();
    file.merge_patch(json::parse(row.changes));
    CHECK_THROWS_WITH_AS(parse(file), doctest::Contains(row.message), ConfigError);
  }
  const Row damaged[] = {
      {R"({"model": 3})", "has no 'model'"},
      {R"({"model": {"merges": null}})", "needs 'model.vocab' and 'model.merges'"},
      {R"({"model": {"merges": ["a b", "abc"]}})", "merge 2 is \"abc\"; it must be two symbols"},
      {R"({"model": {"merges": [["a", "b", "c"]]}})", "merge 1 is [\"a\",\"b\",\"c\"]"},
      {R"({"model": {"vocab": {"!": 1}}})", "'!' has id 1; the order of its merges gives 0"},
      {R"({"model": {"vocab": {"!": "x"}}})", "is not a JSON object of symbols and ids"},
  };
  for (const Row& row : damaged) {
    json file = small();
    file.merge_patch(json::parse(row.changes));
    CHECK_THROWS_WITH_AS(parse(file), doctest::Contains(row.message), IoError);
  }
  CHECK_THROWS_AS(data::parse_tokenizer_json("{", "tokenizer.json"), IoError);
}
