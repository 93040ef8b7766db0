// Ids, labels and lengths of LLaVA's preprocessing for a tiny language model, as llava_tiny_golden.json has them.
#include "tests/support/json_file.h"
#include "tests/support/reference.h"
#include "vitrail/data/text/conversation.h"

#include <doctest/doctest.h>

#include <cstdlib>

namespace vitrail::data {
namespace {

struct TinyLlava {
  nlohmann::json golden;
  std::shared_ptr<const LanguageTokenizer> tokenizer;
};

std::optional<TinyLlava> tiny_llava() {
  const auto path = test::reference_path("llava_tiny_golden.json");
  const char* data = std::getenv("VITRAIL_DATA");
  if (data == nullptr) MESSAGE("not run: set VITRAIL_DATA to the folder that holds llama/tok512.bin");
  if (!path || data == nullptr) return std::nullopt;
  return TinyLlava{test::read_json(*path), open_language_tokenizer(std::string(data) + "/llama/tok512.bin")};
}

constexpr int64_t kImageTokens = 16;

void check_sample(const TinyLlava& tiny, const Conversation& conversation, std::string_view form,
                  const nlohmann::json& expected, const nlohmann::json& counts) {
  LabelledIds labelled = label_segments(conversation, prompt_template(form), *tiny.tokenizer);
  CHECK(labelled.ids == expected["ids"].get<std::vector<int64_t>>());
  CHECK(labelled.labels == expected["labels"].get<std::vector<int64_t>>());
  CHECK(labelled.supervised() == counts["supervised"].get<int64_t>());
  const auto length = counts["length"].get<int64_t>();
  CHECK(int64_t(labelled.ids.size()) + labelled.images() * (kImageTokens - 1) == length);
  const LabelledIds whole = labelled;
  truncate(labelled, length, kImageTokens);
  CHECK(labelled == whole);
}

}  // namespace

TEST_CASE("conversations of stage 2 have LLaVA's ids, labels and lengths") {
  const std::optional<TinyLlava> tiny = tiny_llava();
  if (!tiny) return;
  const nlohmann::json& stage = tiny->golden["stage2_v1"];
  REQUIRE(stage["conversations"].size() == 3);
  for (size_t i = 0; i < 3; ++i) {
    CAPTURE(i);
    const nlohmann::json& sample = stage["conversations"][i];
    Conversation conversation;
    for (const nlohmann::json& text : sample["turns"])
      conversation.turns.push_back(
          {conversation.turns.size() % 2 == 0 ? Role::user : Role::assistant, text.get<std::string>()});
    CHECK(to_prompt(conversation, prompt_template("v1")) == sample["prompt"].get<std::string>());
    check_sample(*tiny, conversation, "v1", sample, stage["samples"][i]);
  }
}

TEST_CASE("captions of stage 1 have LLaVA's ids, labels and lengths") {
  const std::optional<TinyLlava> tiny = tiny_llava();
  if (!tiny) return;
  const nlohmann::json& stage = tiny->golden["stage1_plain"];
  REQUIRE(stage["samples_text"].size() == 2);
  for (size_t i = 0; i < 2; ++i) {
    CAPTURE(i);
    const nlohmann::json& sample = stage["samples_text"][i];
    const Conversation caption{
        {{Role::user, "Describe the image.\n<image>"}, {Role::assistant, sample["caption"].get<std::string>()}},
        std::nullopt};
    check_sample(*tiny, caption, "plain", sample, stage["samples"][i]);
  }
}

}  // namespace vitrail::data
