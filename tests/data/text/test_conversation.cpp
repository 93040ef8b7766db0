#include "tests/data/text/letters.h"
#include "vitrail/core/error.h"
#include "vitrail/data/text/conversation.h"
#include "vitrail/data/text/conversation_ids.h"

#include <doctest/doctest.h>

namespace vitrail::data {
namespace {

using test::Letters;

Conversation asked(const std::vector<std::string>& turns) {
  Conversation conversation;
  for (size_t i = 0; i < turns.size(); ++i)
    conversation.turns.push_back({i % 2 == 0 ? Role::user : Role::assistant, turns[i]});
  return conversation;
}

Conversation without_system(Conversation conversation) {
  conversation.system = "";
  return conversation;
}

/// The text of ids, with what is to be learnt in braces.
std::string marked(const LabelledIds& labelled, const LanguageTokenizer& tokenizer) {
  REQUIRE(labelled.ids.size() == labelled.labels.size());
  std::string text;
  bool inside = false;
  for (size_t i = 0; i < labelled.ids.size(); ++i) {
    const bool supervised = labelled.labels[i] != kIgnoredLabel;
    if (supervised) CHECK(labelled.labels[i] == labelled.ids[i]);
    if (supervised != inside) text += supervised ? "{" : "}";
    inside = supervised;
    text += labelled.ids[i] == kImageId ? "(image)" : tokenizer.piece(labelled.ids[i]);
  }
  return text + (inside ? "}" : "");
}

std::string marked(const Conversation& conversation, std::string_view form, const LanguageTokenizer& tokenizer) {
  return marked(label_segments(conversation, prompt_template(form), tokenizer), tokenizer);
}

const Conversation kTwoRounds = asked({"What <image>is it?", "A dog.", "Sure?", "Yes."});

}  // namespace

TEST_CASE("each template puts its words around the turns") {
  const auto prompt = [](const Conversation& conversation, std::string_view name) {
    return to_prompt(without_system(conversation), prompt_template(name));
  };
  CHECK(prompt(kTwoRounds, "v1") == "USER: <image>\nWhat is it? ASSISTANT: A dog.</s>USER: Sure? ASSISTANT: Yes.</s>");
  CHECK(prompt(kTwoRounds, "llava_v1") == prompt(kTwoRounds, "v1"));
  CHECK(prompt(kTwoRounds, "v0") ==
        "Human: <image>\nWhat is it?###Assistant: A dog.###Human: Sure?###Assistant: Yes.###");
  CHECK(prompt(kTwoRounds, "llama_2") ==
        "[INST] <image>\nWhat is it? [/INST] A dog.</s><s>[INST] Sure? [/INST] Yes.</s>");
  CHECK(prompt(kTwoRounds, "chatml") ==
        "<|im_start|>user\n<image>\nWhat is it?<|im_end|>\n<|im_start|>assistant\nA dog.<|im_end|>\n"
        "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>");
  CHECK(prompt(kTwoRounds, "llava_hf") == "USER: <image>\nWhat is it? ASSISTANT: A dog. USER: Sure? ASSISTANT: Yes.");
  CHECK(prompt(kTwoRounds, "llava_interleave") ==
        "<|im_start|>user <image>\nWhat is it?<|im_end|><|im_start|>assistant\nA dog.<|im_end|>"
        "<|im_start|>user \nSure?<|im_end|><|im_start|>assistant\nYes.<|im_end|>");
  CHECK(prompt(kTwoRounds, "smolvlm") ==
        "<|im_start|>User:<fake_token_around_image><global-img><image><fake_token_around_image>What is it?"
        "<end_of_utterance>\nAssistant: A dog.<end_of_utterance>\nUser: Sure?<end_of_utterance>\nAssistant: Yes."
        "<end_of_utterance>");
  CHECK(prompt(asked({"Describe. <image>", "A dog."}), "plain") == "<image>A dog.\n");
}

TEST_CASE("system sentences: the template's own, another, or none") {
  Conversation conversation = asked({"Hi"});
  CHECK(to_prompt(conversation, prompt_template("vicuna_v1")).starts_with("A chat between a curious user and"));
  CHECK(to_prompt(conversation, prompt_template("llava_v1")).starts_with("A chat between a curious human and"));
  CHECK(to_prompt(conversation, prompt_template("llava_hf")) == "USER: Hi ASSISTANT:");
  CHECK(to_prompt(conversation, prompt_template("chatml")) ==
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n");
  conversation.system = "Be brief.";
  CHECK(to_prompt(conversation, prompt_template("v1")) == "Be brief. USER: Hi ASSISTANT:");
  CHECK(to_prompt(conversation, prompt_template("v0")) == "Be brief.###Human: Hi###Assistant:");
  CHECK(to_prompt(conversation, prompt_template("llama_2")) == "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST]");
  CHECK(to_prompt(conversation, prompt_template("smolvlm")) ==
        "<|im_start|>System: Be brief.<end_of_utterance>\nUser: Hi<end_of_utterance>\nAssistant:");
  conversation.system = "";
  CHECK(to_prompt(conversation, prompt_template("v1")) == "USER: Hi ASSISTANT:");
}

TEST_CASE("an image moves to the front of its turn, as one") {
  const auto turn = [](const std::string& text) {
    return to_prompt(without_system(asked({text})), prompt_template("v1"));
  };
  CHECK(turn("  What?\n<image>") == "USER: <image>\nWhat? ASSISTANT:");
  CHECK(turn("<image><image> a <image>") == "USER: <image>\na ASSISTANT:");
  CHECK(turn("<image>\n") == "USER: <image> ASSISTANT:");
  CHECK(turn(" What? ") == "USER:  What?  ASSISTANT:");  // a turn without an image stays as it is
}

TEST_CASE("answers and what closes them are learnt") {
  const Letters old({"</s>", "<s>"}, /*prefix=*/true, 1001);
  const Conversation two = without_system(kTwoRounds);
  CHECK(marked(two, "v1", old) ==
        "<s>_USER:_(image)_\nWhat_is_it?_ASSISTANT:{_A_dog.</s>}_USER:_Sure?_ASSISTANT:{_Yes.</s>}");
  CHECK(marked(two, "llama_2", old) ==
        "<s>_[INST]_(image)_\nWhat_is_it?_[/INST]{_A_dog.</s>}<s>_[INST]_Sure?_[/INST]{_Yes.</s>}");
  CHECK(marked(two, "v0", old) ==
        "<s>_Human:_(image)_\nWhat_is_it?###Assistant:{_A_dog.###}Human:_Sure?###Assistant:{_Yes.###}");
  // Without a mark between turns, the end of the text is learnt once.
  CHECK(marked(two, "llava_hf", old) ==
        "<s>_USER:_(image)_\nWhat_is_it?_ASSISTANT:{_A_dog.}_USER:_Sure?_ASSISTANT:{_Yes.</s>}");
  CHECK(marked(asked({"<image>", "A dog."}), "plain", old) == "<s>(image){_A_dog.\n}");

  const Letters bytes({"<|im_end|>", "<|im_start|>", "<image>"});
  CHECK(marked(two, "chatml", bytes) ==
        "<|im_start|>user\n(image)\nWhat is it?<|im_end|>\n<|im_start|>assistant\n{A dog.<|im_end|>}\n"
        "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n{Yes.<|im_end|>}");
  CHECK(marked(two, "v1", bytes) ==
        "USER: (image)\nWhat is it? ASSISTANT:{ A dog.<|im_end|>}USER: Sure? ASSISTANT:{ "
        "Yes.<|im_end|>}");  // "</s>" is the end of the text of any tokenizer
  const Letters smol({"<end_of_utterance>", "<|im_start|>", "<fake_token_around_image>", "<global-img>", "<image>"});
  CHECK(marked(two, "smolvlm", smol) ==
        "<|im_start|>User:<fake_token_around_image><global-img>(image)<fake_token_around_image>What is "
        "it?<end_of_utterance>\nAssistant:{ A dog.<end_of_utterance>}\nUser: Sure?<end_of_utterance>\nAssistant:{ "
        "Yes.<end_of_utterance>}");
}

TEST_CASE("training sees the ids of a prompt that generation will see") {
  const Letters old({"</s>", "<s>"}, /*prefix=*/true, 1001);
  const Letters bytes({"<|im_end|>", "<|im_start|>", "<end_of_utterance>"});
  for (const std::string& name : prompt_template_names()) {
    CAPTURE(name);
    for (const LanguageTokenizer* tokenizer :
         {static_cast<const LanguageTokenizer*>(&old), static_cast<const LanguageTokenizer*>(&bytes)}) {
      const LabelledIds whole = label_segments(kTwoRounds, prompt_template(name), *tokenizer);
      for (const size_t turns : {1, 3}) {
        Conversation question = kTwoRounds;
        question.turns.resize(turns);
        const LabelledIds prompt = label_segments(question, prompt_template(name), *tokenizer);
        REQUIRE(prompt.ids.size() < whole.ids.size());
        CHECK(std::equal(prompt.ids.begin(), prompt.ids.end(), whole.ids.begin()));
        CHECK(whole.labels[prompt.ids.size()] != kIgnoredLabel);
        const bool closed = name == "plain" && turns == 3;  // the question has no words behind the first caption
        CHECK((whole.labels[prompt.ids.size() - 1] == kIgnoredLabel) == !closed);
      }
    }
  }
}

TEST_CASE("turns that no template can take are refused") {
  const Letters bytes({"</s>"});
  const PromptTemplate& v1 = prompt_template("v1");
  Conversation twice;
  twice.turns = {{Role::user, "a"}, {Role::user, "b"}};
  CHECK_THROWS_WITH_AS(label_segments(twice, v1, bytes), doctest::Contains("turn 2 is the user's"), DataError);
  CHECK_THROWS_WITH_AS(label_segments({}, v1, bytes), doctest::Contains("has no turns"), DataError);
  CHECK_THROWS_WITH_AS(label_segments(asked({"a", "<image>"}), v1, bytes), doctest::Contains("turn 2, an answer"),
                       DataError);
  CHECK_THROWS_WITH_AS(label_segments(asked({"a", "b"}), v1, Letters({})), doctest::Contains("'v1' closes answers"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(prompt_template("v2"), doctest::Contains("there is: plain, v1, llava_v1, v0"), ConfigError);
}

TEST_CASE("a conversation is cut after its image has become tokens, and the image never is") {
  const Letters bytes({"</s>"});
  LabelledIds labelled = label_segments(without_system(asked({"<image>", "ab"})), prompt_template("plain"), bytes);
  REQUIRE(marked(labelled, bytes) == "(image){ab\n}");
  LabelledIds cut = labelled;
  truncate(cut, 12, 10);
  CHECK(marked(cut, bytes) == "(image){ab}");
  truncate(cut, 10, 10);
  CHECK(marked(cut, bytes) == "(image)");
  truncate(labelled, 13, 10);
  CHECK(labelled.ids.size() == 4);
  CHECK_THROWS_WITH_AS(truncate(labelled, 9, 10),
                       doctest::Contains("max_length is 9; an image of 10 tokens ends at 10"), ConfigError);
}

TEST_CASE("conversations without an answer to learn are counted, and refused above a share") {
  const Letters bytes({"</s>"}, false, 1000);
  std::vector<Conversation> all(200, without_system(asked({"<image>", "ab"})));
  all[3] = asked({"a caption is missing"});
  const PromptTemplate& plain = prompt_template("plain");
  const ConversationIds ids(bytes, plain, all, {.max_length = 20, .image_tokens = 16});
  CHECK(ids.size() == 199);
  CHECK(ids.source(2) == 2);
  CHECK(ids.source(3) == 4);
  CHECK(ids.ids(0) == 5);
  CHECK(ids.tokens(0) == 20);
  CHECK(ids.get(0) == label_segments(all[0], plain, bytes));
  REQUIRE(ids.notes().size() == 1);
  CHECK(ids.notes()[0] == "1 of 200 conversations have no answer within max_length 20; they are left out");
  CHECK(ConversationIds(bytes, plain, all, {.max_length = 19, .image_tokens = 16}).notes()[1] ==
        "199 of 200 conversations are cut at max_length 19");
  all[5] = all[6] = all[3];
  CHECK_THROWS_WITH_AS(
      ConversationIds(bytes, plain, all, {.max_length = 20, .image_tokens = 16}),
      doctest::Contains("3 of 200 conversations have no answer within max_length 20, more than 1%; the "
                        "first is number 4"),
      DataError);
  CHECK_THROWS_WITH_AS(ConversationIds(bytes, plain, all, {.max_length = 10, .image_tokens = 16}),
                       doctest::Contains("max_length is 10; an image of 16 tokens"), ConfigError);
}

}  // namespace vitrail::data
