#include "vitrail/data/text/chat_template.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/text/tokenizer_json_parts.h"

#include <algorithm>
#include <array>

namespace vitrail::data {
namespace {

constexpr int64_t kMostTemplateBytes = int64_t{1} << 26;

/// A template is known by words that are all in it.
struct KnownTemplate {
  std::string_view name;                    // of the prompt template
  std::array<std::string_view, 3> words{};  // empty ones do not count
};

/// The first one that fits is taken, so the more special comes first.
/// Source: the templates of SmolVLM-256M-Instruct, llava-interleave-qwen-0.5b-hf, Qwen2, llava-1.5-7b-hf, Vicuna and
/// Llama 2.
constexpr KnownTemplate kKnownTemplates[] = {
    {"smolvlm", {"<|im_start|>", "capitalize", "<end_of_utterance>\n"}},
    {"llava_interleave", {"'<|im_start|>' + message['role'] + ' '", "'<image>'", "'\n' + content['text']"}},
    {"chatml", {"<|im_start|>", "<|im_end|>", "'<|im_start|>assistant\n'"}},
    {"llava_hf", {"message['role'].upper() + ': '", "'<image>\n'", "'ASSISTANT:'"}},
    {"v1", {"USER: ", "ASSISTANT:", "eos_token"}},
    {"llama_2", {"[INST]", "<<SYS>>"}},
};

/// What the templates that we write begin with, before and after a name.
constexpr std::string_view kOwnBegin = "{#- vitrail: ", kOwnEnd = " -#}";

/// The prompt template that such a beginning names.
const PromptTemplate* own_template(std::string_view jinja) {
  const size_t end = jinja.find(kOwnEnd);
  if (!jinja.starts_with(kOwnBegin) || end == jinja.npos) return nullptr;
  const std::string_view name = jinja.substr(kOwnBegin.size(), end - kOwnBegin.size());
  const std::vector<std::string> names = prompt_template_names();
  return std::find(names.begin(), names.end(), name) == names.end() ? nullptr : &prompt_template(name);
}

/// Line breaks are written as "\n" in strings of Jinja, or as themselves.
std::string with_line_breaks(std::string_view jinja) {
  std::string text;
  for (size_t i = 0; i < jinja.size(); ++i) {
    const bool escape = jinja[i] == '\\' && i + 1 < jinja.size() && jinja[i + 1] == 'n';
    text.push_back(escape ? '\n' : jinja[i]);
    i += escape ? 1 : 0;
  }
  return text;
}

/// The sentence that a template puts between these words; empty if it puts none.
std::string sentence_between(std::string_view text, std::string_view begin, std::string_view end) {
  for (size_t at = 0; (at = text.find(begin, at)) != text.npos;) {
    at += begin.size();
    const std::string_view sentence = text.substr(at, std::min(text.find(end, at), text.size()) - at);
    const bool is_plain = sentence.find_first_of("{}") == sentence.npos && at + sentence.size() < text.size();
    if (is_plain && !sentence.empty()) return std::string(sentence);
  }
  return "";
}

/// The template in a value of "chat_template": a text, or a list of named ones, of which "default" counts.
std::optional<std::string> template_of(const Json& file) {
  const Json* const value = file.find("chat_template");
  if (value && value->is_string()) return value->as_string();
  if (!value || !value->is_array()) return std::nullopt;
  for (const Json& one : value->as_array())
    if (text_of(one, "name") == "default") return text_of(one, "template");
  return std::nullopt;
}

std::string names_of_templates() {
  std::string names;
  for (const std::string& name : prompt_template_names()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

}  // namespace

std::optional<ChatTemplate> recognise_chat_template(std::string_view jinja) {
  if (const PromptTemplate* const own = own_template(jinja)) return ChatTemplate{own};
  const std::string text = with_line_breaks(jinja);
  for (const KnownTemplate& known : kKnownTemplates) {
    const bool fits = std::all_of(known.words.begin(), known.words.end(),
                                  [&](std::string_view words) { return text.find(words) != text.npos; });
    if (!fits) continue;
    const PromptTemplate& form = prompt_template(known.name);
    if (known.name == "chatml") return ChatTemplate{&form, sentence_between(text, form.system_begin, "<|im_end|>")};
    const bool has_system = text.find(form.system) != text.npos;
    return ChatTemplate{&form, has_system ? std::nullopt : std::optional<std::string>("")};
  }
  return std::nullopt;
}

std::string to_jinja(const PromptTemplate& form) {
  const auto text = [](std::string_view words) { return Json(words).text(); };  // JSON's strings are Jinja's
  const std::string with_image = text(form.with_image), without_image = text(form.without_image),
                    close = form.close == "</s>" ? "eos_token" : text(form.close);
  std::string jinja = std::string(kOwnBegin) + std::string(form.name) + std::string(kOwnEnd) + R"(
{%- macro words(content) -%}
  {%- if content is string -%}
    {{- content -}}
  {%- else -%}
    {%- for part in content if part['type'] == 'text' -%}{{- part['text'] -}}{%- endfor -%}
  {%- endif -%}
{%- endmacro -%}
{{- )" + text(form.start) +
                      " -}}\n";
  if (!form.captions)
    jinja += "{%- set ns = namespace(system=" + text(form.system) + R"() -%}
{%- if messages[0]['role'] == 'system' -%}{%- set ns.system = words(messages[0]['content']) -%}{%- endif -%}
{%- if ns.system -%}{{- )" +
             text(form.system_begin) + " + ns.system + " + text(form.system_end) + " -}}{%- endif -%}\n";
  jinja += R"({%- for message in messages if message['role'] != 'system' -%}
  {%- if message['role'] == 'user' -%}
    {%- set all = words(message['content']) -%}
    {%- set image = '<image>' in all or (message['content'] is not string and 'image' in message['content'] | map(attribute='type') | list) -%}
    {%- set text = all | replace('<image>', '') -%}
    {%- if not loop.first -%}{{- )" +
           text(form.between) + " -}}{%- endif -%}\n    {{- " + text(form.user_begin) + " -}}\n";
  if (form.captions)
    jinja += "    {%- if image -%}{{- " + with_image + " -}}{%- endif -%}\n";
  else
    jinja += "    {%- if not image -%}{{- " + without_image + " + text -}}\n    {%- elif text | trim -%}{{- " +
             with_image + " + text | trim -}}\n    {%- else -%}{{- " + with_image + " | trim -}}\n    {%- endif -%}\n";
  return jinja + "    {{- " + text(form.user_end) + " + " + text(form.assistant_begin) +
         " -}}\n  {%- else -%}\n    {{- " + text(form.answer_begin) + " + words(message['content']) + " + close +
         " -}}\n  {%- endif -%}\n{%- endfor -%}\n";
}

std::optional<std::string> find_chat_template(const std::filesystem::path& folder) {
  const std::filesystem::path jinja = folder / "chat_template.jinja";
  if (std::filesystem::exists(jinja)) return read_file(jinja, kMostTemplateBytes);
  for (const char* const name : {"chat_template.json", "processor_config.json", "tokenizer_config.json"}) {
    const std::filesystem::path path = folder / name;
    if (!std::filesystem::exists(path)) continue;
    if (auto found = template_of(parse_tokenizer_file(read_file(path, kMostTemplateBytes), path.string())))
      return found;
  }
  return std::nullopt;
}

ChatTemplate open_chat_template(const std::filesystem::path& folder) {
  const std::optional<std::string> jinja = find_chat_template(folder);
  check<ConfigError>(jinja.has_value(), "chat_template", "{}: has no chat template; choose one with --template: {}",
                     folder.string(), names_of_templates());
  const std::optional<ChatTemplate> known = recognise_chat_template(*jinja);
  check<ConfigError>(known.has_value(), "chat_template",
                     "{}: its chat template is not known; it begins with {}. Choose one with --template: {}",
                     folder.string(), Json(std::string_view(*jinja).substr(0, 200)).text(), names_of_templates());
  return *known;
}

}  // namespace vitrail::data
