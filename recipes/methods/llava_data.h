// The data of llava: conversations about images, as the model reads them.
#pragma once

#include "vitrail/data/load/bad_files.h"
#include "vitrail/data/sources/conversations.h"
#include "vitrail/data/text/conversation_ids.h"
#include "vitrail/recipes/methods/llava.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

/// The words of a model, and those around its questions.
struct LlavaWords {
  const data::LanguageTokenizer& tokenizer;
  const data::PromptTemplate& form;
  int64_t image_tokens = 0;
};

/// A part of the data: conversations, or images with captions, each a conversation of its own.
/// Throws as open_conversations and open_captioned.
data::Conversations open_talks(const LlavaConfig& config, const std::string& split);

/// The training part.
class LlavaTrainData final {
 public:
  /// What words refers to and bad_files outlive this. Throws as open_talks and data::ConversationIds.
  LlavaTrainData(const LlavaConfig& config, const LlavaWords& words, data::BadFiles& bad_files);

  /// The number of conversations, and of images.
  int64_t size() const { return ids_.size(); }
  const data::Dataset& images() const { return *talks_.images; }
  /// What was passed over, left out or cut.
  const std::vector<std::string>& notes() const { return notes_; }
  /// See data::ConversationBatch. Without pixels, "numbers" says which images the conversations are about.
  std::unique_ptr<data::Loader> loader(const data::LoaderState& start, int64_t passes = 1, bool pixels = true,
                                       const Shards& shards = {});
  /// A conversation by its number in a batch (Batch::indices).
  const data::Conversation& conversation(int64_t index) const { return talks_.samples[size_t(ids_.source(index))]; }

 private:
  const LlavaConfig& config_;
  data::BadFiles& bad_files_;
  data::Conversations talks_;
  data::ConversationIds ids_;
  std::vector<std::string> notes_;
};

/// The part to evaluate on.
struct LlavaEvalData {
  data::Conversations talks;
  std::vector<std::string> families;  // kinds of questions; empty: they are not told apart
  std::vector<int64_t> family_of;     // of each conversation: an index into families, or -1
};
/// Throws as open_talks.
LlavaEvalData open_eval_talks(const LlavaConfig& config);

/// The kind of a question: "yes/no" by its answer, else the first of words that is in it, else "other".
std::string family_of_question(std::string_view question, std::string_view answer,
                               const std::vector<std::string>& words);

/// The last answer and the question before it.
std::string_view last_question(const data::Conversation& conversation);
std::string_view last_answer(const data::Conversation& conversation);
/// Whether it is one question and one answer.
bool is_one_question(const data::Conversation& conversation);

}  // namespace vitrail::recipes
