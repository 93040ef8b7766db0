#include "tests/support/messages.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/data/text/chat_template.h"

#include <nlohmann/json.hpp>

#include <string>

using namespace vitrail;
using nlohmann::json;

namespace {

// Templates of published folders, whole or in the parts that they are known by.
constexpr const char* kSmolVlm =
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}{% if message['content'][0]['type'] == "
    "'image' %}{{':'}}{% else %}{{': '}}{% endif %}{% for line in message['content'] %}{% if line['type'] == 'text' "
    "%}{{line['text']}}{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% "
    "endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}";
constexpr const char* kInterleave =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + ' '}}{% for content in message['content'] | "
    "selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}{% for content in message['content'] | "
    "selectattr('type', 'equalto', 'text') %}{{ '\\n' + content['text'] }}{% endfor %}{{'<|im_end|>'}}{% endfor %}{% "
    "if "
    "add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
constexpr const char* kChatMl =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + "
    "'\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
constexpr const char* kQwen2 =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou "
    "are a helpful assistant.<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<|im_start|>assistant\\n' }}{% endif %}";
constexpr const char* kLlavaHf =
    "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}{% "
    "for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}{% for "
    "content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}{% "
    "endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}";
constexpr const char* kVicuna =
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ 'USER: ' + message['content'] + ' ' }}{% else "
    "%}{{ 'ASSISTANT: ' + message['content'] + eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ "
    "'ASSISTANT:' }}{% endif %}";

/// A question about an image, by the template that these words are recognised as.
std::string prompt_by(const char* jinja) {
  const auto known = data::recognise_chat_template(jinja);
  REQUIRE(known.has_value());
  data::Conversation conversation;
  conversation.system = known->system;
  conversation.turns = {{data::Role::user, "<image>\nWhat is this?"}};
  return data::to_prompt(conversation, *known->form);
}

std::string name_of(const char* jinja) {
  const auto known = data::recognise_chat_template(jinja);
  return known ? std::string(known->form->name) : "";
}

}  // namespace

TEST_CASE("chat templates are recognised by their words") {
  CHECK(name_of(kSmolVlm) == "smolvlm");
  CHECK(name_of(kInterleave) == "llava_interleave");
  CHECK(name_of(kChatMl) == "chatml");
  CHECK(name_of(kQwen2) == "chatml");
  CHECK(name_of(kLlavaHf) == "llava_hf");
  CHECK(name_of(kVicuna) == "v1");
  CHECK(name_of("{{ '[INST] <<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' }}") == "llama_2");
  for (const char* other : {"", "{{ '[INST] ' + message['content'] + ' [/INST]' }}", "<|user|>", "<start_of_turn>",
                            "{{'<|im_start|>' + message['role'] + ' ' + message['content'] + '<|im_end|>'}}"})
    CHECK(name_of(other).empty());
}

TEST_CASE("a recognised template writes what the model's own template does") {
  CHECK(prompt_by(kInterleave) == "<|im_start|>user <image>\nWhat is this?<|im_end|><|im_start|>assistant\n");
  CHECK(prompt_by(kLlavaHf) == "USER: <image>\nWhat is this? ASSISTANT:");
  CHECK(prompt_by(kChatMl) == "<|im_start|>user\n<image>\nWhat is this?<|im_end|>\n<|im_start|>assistant\n");
  CHECK(prompt_by(kQwen2) == "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n" + prompt_by(kChatMl));
  CHECK(prompt_by(kVicuna) == "USER: <image>\nWhat is this? ASSISTANT:");
}

TEST_CASE("the sentence of the system is the template's own") {
  CHECK(data::recognise_chat_template(kChatMl)->system == "");
  CHECK(data::recognise_chat_template(kQwen2)->system == "You are a helpful assistant.");
  const std::string tools = std::string("{{ '<|im_start|>system\\n' + messages[0]['content'] }}") + kQwen2;
  CHECK(data::recognise_chat_template(tools)->system == "You are a helpful assistant.");
  CHECK(data::recognise_chat_template(kVicuna)->system == "");
  const std::string sentence(data::prompt_template("v1").system);
  CHECK(data::recognise_chat_template(sentence + kVicuna)->system == std::nullopt);
}

TEST_CASE("the chat template of a folder is in one of four files") {
  const test::TemporaryFolder folder;
  const auto write = [&](const char* name, const std::string& text) { test::write_text(folder.path() / name, text); };
  const auto opened = [&] { return std::string(data::open_chat_template(folder.path()).form->name); };
  CHECK_THROWS_WITH_AS(opened(), doctest::Contains("has no chat template; choose one with --template: plain, v1"),
                       ConfigError);
  write("processor_config.json", R"({"processor_class": "LlavaProcessor"})");
  write("tokenizer_config.json",
        json{{"chat_template", {{{"name", "tool"}, {"template", "?"}}, {{"name", "default"}, {"template", kVicuna}}}}}
            .dump());
  CHECK(opened() == "v1");
  write("tokenizer_config.json", json{{"chat_template", kChatMl}}.dump());
  CHECK(opened() == "chatml");
  write("processor_config.json", json{{"chat_template", kInterleave}}.dump());
  CHECK(opened() == "llava_interleave");
  write("chat_template.json", json{{"chat_template", kLlavaHf}}.dump());
  CHECK(opened() == "llava_hf");
  write("chat_template.jinja", kSmolVlm);
  CHECK(opened() == "smolvlm");
  write("chat_template.jinja", "{% for m in messages %}<|start_of_role|>");
  CHECK_THROWS_WITH_AS(opened(),
                       doctest::Contains("it begins with \"{% for m in messages %}<|start_of_role|>\". Choose one with "
                                         "--template: plain, v1"),
                       ConfigError);
  std::filesystem::remove(folder.path() / "chat_template.jinja");
  write("chat_template.json", "{");
  CHECK_THROWS_WITH_AS(opened(), doctest::Contains("chat_template.json"), IoError);
}

TEST_CASE("a chat template that is written is known again, and has the words of the prompt") {
  for (const std::string& name : data::prompt_template_names()) {
    CAPTURE(name);
    const data::PromptTemplate& form = data::prompt_template(name);
    const std::string jinja = data::to_jinja(form);
    CHECK(jinja.starts_with("{#- vitrail: " + name + " -#}"));
    const auto known = data::recognise_chat_template(jinja);
    REQUIRE(known.has_value());
    CHECK(known->form == &form);
    CHECK(!known->system.has_value());
    for (const std::string_view words : {form.start, form.user_end, form.assistant_begin, form.answer_begin})
      CHECK(jinja.find(json(words).dump()) != std::string::npos);
    CHECK((jinja.find("+ eos_token -") != std::string::npos) == (form.close == "</s>"));
  }
  CHECK(!data::recognise_chat_template("{#- vitrail: v7 -#}").has_value());
  CHECK(!data::recognise_chat_template("{#- vitrail: v1").has_value());
}
