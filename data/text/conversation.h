// Conversation: turns of a user and an assistant, perhaps about an image; and how a language model reads them: a prompt
// template puts words around the turns, label_segments turns all into token ids and says which of them are to be
// learnt.
#pragma once

#include "vitrail/data/text/language_tokenizer.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

/// Stands for the image in a user's turn.
inline constexpr std::string_view kImageMark = "<image>";
/// The id in place of an image, and the label of what is not to be learnt. Source: LLaVA's constants.
inline constexpr int64_t kImageId = -200, kIgnoredLabel = -100;

enum class Role { user, assistant };

struct Turn {
  Role role = Role::user;
  std::string text;  // of a user: may hold kImageMark, anywhere
  bool operator==(const Turn&) const = default;
};

struct Conversation {
  std::vector<Turn> turns;            // the user begins, then they alternate
  std::optional<std::string> system;  // in place of the template's own sentence; "" for none
  bool operator==(const Conversation&) const = default;
};

/// The words around turns. A prompt is
///   start [system_begin system system_end] user_begin (with_image | without_image) question user_end assistant_begin
/// and a model goes on with
///   answer_begin answer close [between user_begin ...]
/// Without a system sentence, the words around it are left out too.
struct PromptTemplate {
  std::string_view name{};
  std::string_view also{};  // a second name, or empty
  std::string_view start{};
  std::string_view system_begin{}, system{}, system_end{};
  std::string_view user_begin{}, with_image{}, without_image{}, user_end{};
  std::string_view assistant_begin{}, answer_begin{};
  std::string_view close{};  // ends an answer and is learnt with it; "</s>" is the end of a text of any tokenizer
  std::string_view between{};
  bool captions = false;  // the words of the user are left out; the image stays
};

/// Throws ConfigError that lists the names.
const PromptTemplate& prompt_template(std::string_view name);
/// The names of all templates, without second names.
std::vector<std::string> prompt_template_names();

/// Throws DataError unless the user begins, turns alternate, and images are in turns of the user. where: for messages.
void check_turns(const Conversation& conversation, std::string_view where);
/// Whether a turn names the image.
bool has_image(const Conversation& conversation);

/// A conversation as one text. If the user has the last turn, the text ends where the model is to answer.
std::string to_prompt(const Conversation& conversation, const PromptTemplate& form);

struct LabelledIds {
  std::vector<int64_t> ids;     // kImageId in place of an image
  std::vector<int64_t> labels;  // the id itself where it is to be learnt, else kIgnoredLabel
  /// Ids to be learnt, and places of images.
  int64_t supervised() const;
  int64_t images() const;
  bool operator==(const LabelledIds&) const = default;
};

/// The ids of to_prompt(), begun with the tokenizer's begin of a text if it has one. Answers and what closes them are
/// labelled. Each answer is encoded apart from what stands before it, so that training sees the ids that generation
/// will give. The last answer is closed by the end of a text if the template closes answers by nothing.
///
/// The marks of an image move to the front of their turn, as one. Throws DataError as check_turns; ConfigError if the
/// tokenizer has no end of a text.
/// Source: LLaVA's preprocess_v1 and preprocess_plain; tokenizer_image_token.
LabelledIds label_segments(const Conversation& conversation, const PromptTemplate& form,
                           const LanguageTokenizer& tokenizer);

/// Cuts ids at the end so that they have at most max_length tokens when each image has become image_tokens. An image is
/// never cut: throws ConfigError if there is no room for it.
void truncate(LabelledIds& labelled, int64_t max_length, int64_t image_tokens);

}  // namespace vitrail::data
