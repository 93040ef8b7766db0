#include "vitrail/recipes/methods/llava_data.h"

#include "vitrail/core/error.h"
#include "vitrail/data/load/conversation_batch.h"
#include "vitrail/data/sources/source_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace vitrail::recipes {
namespace {

bool holds_conversations(const std::string& root) {
  try {
    return !data::find_conversation_parts(root).empty();
  } catch (const DataError&) {
    return false;
  }
}

bool holds_pairs(const std::string& root) {
  try {
    return !data::find_pair_parts(root).empty();
  } catch (const DataError&) {
    return false;
  }
}

/// Each caption as the answer to its image.
data::Conversations talks_of(data::Pairs pairs) {
  data::Conversations talks;
  for (size_t i = 0; i < pairs.captions.size(); ++i)
    for (const std::string& caption : pairs.captions[i])
      talks.add(data::question_and_answer("", caption, true), int64_t(i), "");
  talks.images = std::move(pairs.images);
  talks.missing = std::move(pairs.missing);
  talks.named = pairs.named;
  return talks;
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if ('A' <= c && c <= 'Z') c = char(c - 'A' + 'a');
  return result;
}

data::LabelOptions label_options(const LlavaConfig& config, int64_t image_tokens) {
  return {.max_length = std::min(config.max_length, config.model.decoder.context_length), .image_tokens = image_tokens};
}

}  // namespace

data::Conversations open_talks(const LlavaConfig& config, const std::string& split) {
  const bool generated = config.data.source != DataSource::files;
  const bool captions = generated ? data::prompt_template(config.template_name()).captions
                                  : !holds_conversations(config.data.root) && holds_pairs(config.data.root);
  data::Conversations talks =
      captions ? talks_of(open_captioned(config.data, split, {})) : open_conversations(config.data, split);
  if (config.shuffle_images) {
    const std::vector<int64_t> other = Rng(0, "shuffle_images").permutation(talks.images->size());
    for (int64_t& image : talks.image_of)
      if (image != data::kNoImage) image = other[size_t(image)];
  }
  return talks;
}

LlavaTrainData::LlavaTrainData(const LlavaConfig& config, const LlavaWords& words, data::BadFiles& bad_files)
    : config_(config),
      bad_files_(bad_files),
      talks_(open_talks(config, config.data.train_split)),
      ids_(words.tokenizer, words.form, talks_.samples, label_options(config, words.image_tokens)),
      notes_(talks_.images->notes()) {
  notes_.insert(notes_.end(), ids_.notes().begin(), ids_.notes().end());
  if (std::string note = missing_note(config.data, config.data.train_split, talks_.missing, talks_.named);
      !note.empty())
    notes_.push_back(std::move(note));
  check<ConfigError>(config.data.repeated_aug == 1, "data.repeated_aug", "{}: conversations come once in an epoch",
                     config.data.repeated_aug);
}

std::unique_ptr<data::Loader> LlavaTrainData::loader(const data::LoaderState& start, int64_t passes, bool pixels,
                                                     const Shards& shards) {
  data::LoaderOptions options = shuffled(config_.data, config_.seed, config_.train.batch_size, passes, start);
  options.shards = shards;
  options.shuffle = false;
  options.order =
      data::ConversationOrder(ids_, talks_.image_of, config_.group, config_.train.batch_size, uint64_t(config_.seed));
  if (!pixels) return std::make_unique<data::Loader>(data::ConversationBatch(ids_, talks_.image_of), options);
  return std::make_unique<data::Loader>(
      data::ConversationBatch(training_images(config_.data, *talks_.images, bad_files_), ids_, talks_.image_of),
      options);
}

LlavaEvalData open_eval_talks(const LlavaConfig& config) {
  LlavaConfig there = config;
  there.data = evaluated(config.data);
  const bool whole =
      !config.data.val_root.empty() && holds_conversations(there.data.root) &&
      data::splits_of(data::find_conversation_parts(there.data.root)) == std::vector<std::string>{"train"};
  LlavaEvalData eval{
      .talks = open_talks(there, whole ? "train" : there.data.val_split), .families = {}, .family_of = {}};
  data::Conversations& talks = eval.talks;
  if (!talks.families.empty()) {
    eval.families = talks.families;
    eval.family_of = talks.family_of;
    return eval;
  }
  if (config.families.empty()) return eval;
  for (const data::Conversation& conversation : talks.samples) {
    if (!is_one_question(conversation)) {
      eval.family_of.push_back(-1);
      continue;
    }
    const std::string name =
        family_of_question(last_question(conversation), last_answer(conversation), config.families);
    const auto found = std::find(eval.families.begin(), eval.families.end(), name);
    eval.family_of.push_back(found - eval.families.begin());
    if (found == eval.families.end()) eval.families.push_back(name);
  }
  return eval;
}

std::string family_of_question(std::string_view question, std::string_view answer,
                               const std::vector<std::string>& words) {
  const std::string said = lower_case(answer), asked = lower_case(question);
  if (said == "yes" || said == "no") return "yes/no";
  for (const std::string& word : words)
    if (asked.find(lower_case(word)) != std::string::npos) return word;
  return "other";
}

std::string_view last_question(const data::Conversation& conversation) {
  return conversation.turns[conversation.turns.size() - 2].text;
}
std::string_view last_answer(const data::Conversation& conversation) { return conversation.turns.back().text; }
bool is_one_question(const data::Conversation& conversation) { return conversation.turns.size() == 2; }

}  // namespace vitrail::recipes
