#include "vitrail/data/text/conversation.h"

#include "vitrail/core/error.h"

#include <algorithm>

namespace vitrail::data {
namespace {

constexpr std::string_view kTextEnd = "</s>";

constexpr std::string_view kAboutUser =
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions.";
constexpr std::string_view kAboutHuman =
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the human's questions.";

/// Models were trained with these words, to the letter.
/// Source: LLaVA's conversation.py; the chat templates of the folders llava-1.5-7b-hf, llava-interleave-qwen-0.5b-hf
/// and SmolVLM-256M-Instruct.
constexpr PromptTemplate kTemplates[] = {
    {.name = "plain", .with_image = "<image>", .close = "\n", .captions = true},
    {.name = "v1",
     .also = "vicuna_v1",
     .system = kAboutUser,
     .system_end = " ",
     .user_begin = "USER: ",
     .with_image = "<image>\n",
     .user_end = " ",
     .assistant_begin = "ASSISTANT:",
     .answer_begin = " ",
     .close = kTextEnd},
    {.name = "llava_v1",
     .system = kAboutHuman,
     .system_end = " ",
     .user_begin = "USER: ",
     .with_image = "<image>\n",
     .user_end = " ",
     .assistant_begin = "ASSISTANT:",
     .answer_begin = " ",
     .close = kTextEnd},
    {.name = "v0",
     .also = "llava_v0",
     .system = kAboutHuman,
     .system_end = "###",
     .user_begin = "Human: ",
     .with_image = "<image>\n",
     .user_end = "###",
     .assistant_begin = "Assistant:",
     .answer_begin = " ",
     .close = "###"},
    {.name = "llama_2",
     .start = "[INST] ",
     .system_begin = "<<SYS>>\n",
     .system_end = "\n<</SYS>>\n\n",
     .with_image = "<image>\n",
     .user_end = " [/INST]",
     .answer_begin = " ",
     .close = kTextEnd,
     .between = "<s>[INST] "},
    {.name = "llava_llama_2",
     .start = "[INST] ",
     .system_begin = "<<SYS>>\n",
     .system =
         "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
         "provides, and assist the user with a variety of tasks using natural language.",
     .system_end = "\n<</SYS>>\n\n",
     .with_image = "<image>\n",
     .user_end = " [/INST]",
     .answer_begin = " ",
     .close = kTextEnd,
     .between = "<s>[INST] "},
    {.name = "chatml",
     .system_begin = "<|im_start|>system\n",
     .system = "You are a helpful assistant.",
     .system_end = "<|im_end|>\n",
     .user_begin = "<|im_start|>user\n",
     .with_image = "<image>\n",
     .user_end = "<|im_end|>\n",
     .assistant_begin = "<|im_start|>assistant\n",
     .close = "<|im_end|>",
     .between = "\n"},
    {.name = "llava_hf",
     .system_end = " ",
     .user_begin = "USER: ",
     .with_image = "<image>\n",
     .user_end = " ",
     .assistant_begin = "ASSISTANT:",
     .answer_begin = " ",
     .between = " "},
    {.name = "llava_interleave",
     .system_begin = "<|im_start|>system \n",
     .system_end = "<|im_end|>",
     .user_begin = "<|im_start|>user ",
     .with_image = "<image>\n",
     .without_image = "\n",
     .user_end = "<|im_end|>",
     .assistant_begin = "<|im_start|>assistant\n",
     .close = "<|im_end|>"},
    {.name = "smolvlm",
     .start = "<|im_start|>",
     .system_begin = "System: ",
     .system_end = "<end_of_utterance>\n",
     .user_begin = "User:",
     .with_image = "<fake_token_around_image><global-img><image><fake_token_around_image>",
     .without_image = " ",
     .user_end = "<end_of_utterance>\n",
     .assistant_begin = "Assistant:",
     .answer_begin = " ",
     .close = "<end_of_utterance>",
     .between = "\n"},
};

/// A piece of a prompt. Its words are encoded together.
struct Segment {
  std::string text;
  bool supervised = false;
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  return begin == text.npos ? std::string_view() : text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

/// A user's turn with its image in front.
std::string user_text(const std::string& text, const PromptTemplate& form) {
  std::string words = text;
  bool image = false;
  for (size_t at; (at = words.find(kImageMark)) != words.npos; image = true) words.erase(at, kImageMark.size());
  if (form.captions) return std::string(image ? form.with_image : form.without_image);
  if (!image) return std::string(form.without_image) + words;
  const std::string_view rest = trimmed(words);
  return std::string(rest.empty() ? trimmed(form.with_image) : form.with_image).append(rest);
}

/// Unsupervised and supervised segments in turns. What closes an answer is at the end of the answer.
std::vector<Segment> segments_of(const Conversation& conversation, const PromptTemplate& form) {
  std::vector<Segment> segments(1);
  std::string& first = segments[0].text;
  first = form.start;
  const std::string_view system = conversation.system ? std::string_view(*conversation.system) : form.system;
  if (!system.empty() && !form.captions) first.append(form.system_begin).append(system).append(form.system_end);
  for (const Turn& turn : conversation.turns) {
    if (turn.role == Role::assistant) {
      segments.push_back({std::string(form.answer_begin) + turn.text + std::string(form.close), true});
      continue;
    }
    if (segments.back().supervised) segments.push_back({std::string(form.between), false});
    segments.back().text.append(form.user_begin).append(user_text(turn.text, form)).append(form.user_end);
    segments.back().text.append(form.assistant_begin);
  }
  return segments;
}

/// Encodes one segment after another.
class Encoder final {
 public:
  Encoder(const LanguageTokenizer& tokenizer, const PromptTemplate& form) : tokenizer_(&tokenizer), form_(&form) {
    if (const std::optional<int64_t> bos = tokenizer.bos()) push({*bos}, false);
  }

  void prompt(std::string_view text) {
    for (size_t image; (image = text.find(kImageMark)) != text.npos;) {
      words(text.substr(0, image), false);
      special(kImageMark, kImageId, false);
      text.remove_prefix(image + kImageMark.size());
    }
    words(text, false);
  }

  /// An answer. What closes it is one id if the tokenizer has one for it.
  void answer(std::string_view text) {
    const std::optional<int64_t> close = close_id();
    if (close) text.remove_suffix(form_->close.size());
    words(text, true);
    if (close) special(form_->close, *close, true);
  }

  /// The id that ends a text.
  void end() { push({end_id()}, true); }

  LabelledIds take() { return std::move(out_); }

 private:
  int64_t end_id() const {
    const std::vector<int64_t> ends = tokenizer_->eos();
    check<ConfigError>(!ends.empty(), "labels",
                       "the tokenizer has no token that ends a text, and the template '{}' closes answers with it",
                       form_->name);
    return ends.front();
  }

  /// Nothing if the words that close an answer are encoded as words: "###", a line's end.
  std::optional<int64_t> close_id() const {
    if (form_->close == kTextEnd) return end_id();
    return form_->close.starts_with('<') ? tokenizer_->id_of(form_->close) : std::nullopt;
  }

  void words(std::string_view text, bool supervised) {
    if (text.empty()) return;
    push(tokenizer_->encode(text, before_), supervised);
    before_ = text;
  }

  /// A special token. One that the tokenizer does not know, as LLaVA's image, ends a text for it.
  void special(std::string_view mark, int64_t id, bool supervised) {
    push({id}, supervised);
    before_ = tokenizer_->id_of(mark) ? std::string(mark) : std::string();
  }

  void push(const std::vector<int64_t>& ids, bool supervised) {
    out_.ids.insert(out_.ids.end(), ids.begin(), ids.end());
    for (const int64_t id : ids) out_.labels.push_back(supervised ? id : kIgnoredLabel);
  }

  const LanguageTokenizer* tokenizer_;
  const PromptTemplate* form_;
  std::string before_;  // what the next words follow
  LabelledIds out_;
};

}  // namespace

const PromptTemplate& prompt_template(std::string_view name) {
  for (const PromptTemplate& form : kTemplates)
    if (name == form.name || (name == form.also && !name.empty())) return form;
  std::string names;
  for (const PromptTemplate& form : kTemplates) names += (names.empty() ? "" : ", ") + std::string(form.name);
  fail<ConfigError>("prompt_template", "there is no template '{}'; there is: {}", name, names);
}

std::vector<std::string> prompt_template_names() {
  std::vector<std::string> names;
  for (const PromptTemplate& form : kTemplates) names.emplace_back(form.name);
  return names;
}

void check_turns(const Conversation& conversation, std::string_view where) {
  check<DataError>(!conversation.turns.empty(), "conversation", "{}: has no turns", where);
  for (size_t i = 0; i < conversation.turns.size(); ++i) {
    const Turn& turn = conversation.turns[i];
    const bool user = turn.role == Role::user;
    check<DataError>(user == (i % 2 == 0), "conversation",
                     "{}: turn {} is the {}'s; the user begins, and the turns alternate", where, i + 1,
                     user ? "user" : "assistant");
    check<DataError>(user || turn.text.find(kImageMark) == turn.text.npos, "conversation",
                     "{}: turn {}, an answer, holds {}, which stands for the image in turns of the user", where, i + 1,
                     kImageMark);
  }
}

bool has_image(const Conversation& conversation) {
  return std::any_of(conversation.turns.begin(), conversation.turns.end(),
                     [](const Turn& turn) { return turn.text.find(kImageMark) != turn.text.npos; });
}

std::string to_prompt(const Conversation& conversation, const PromptTemplate& form) {
  check_turns(conversation, "prompt");
  std::string text;
  for (const Segment& segment : segments_of(conversation, form)) text += segment.text;
  return text;
}

int64_t LabelledIds::supervised() const {
  return std::count_if(labels.begin(), labels.end(), [](int64_t label) { return label != kIgnoredLabel; });
}

int64_t LabelledIds::images() const { return std::count(ids.begin(), ids.end(), kImageId); }

LabelledIds label_segments(const Conversation& conversation, const PromptTemplate& form,
                           const LanguageTokenizer& tokenizer) {
  check_turns(conversation, "labels");
  Encoder encoder(tokenizer, form);
  bool answered = false;
  for (const Segment& segment : segments_of(conversation, form)) {
    if (segment.supervised)
      encoder.answer(segment.text);
    else
      encoder.prompt(segment.text);
    answered = segment.supervised;
  }
  if (answered && form.close.empty()) encoder.end();
  return encoder.take();
}

void truncate(LabelledIds& labelled, int64_t max_length, int64_t image_tokens) {
  int64_t length = 0, kept = 0;
  for (const int64_t id : labelled.ids) {
    length += id == kImageId ? image_tokens : 1;
    check<ConfigError>(id != kImageId || length <= max_length, "truncate",
                       "max_length is {}; an image of {} tokens ends at {}", max_length, image_tokens, length);
    if (length <= max_length) ++kept;
  }
  labelled.ids.resize(size_t(kept));
  labelled.labels.resize(size_t(kept));
}

}  // namespace vitrail::data
