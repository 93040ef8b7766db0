// ConversationIds: every conversation of a dataset as labelled token ids, ready to be put into batches.
#pragma once

#include "vitrail/data/text/conversation.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vitrail::data {

struct LabelOptions {
  int64_t max_length = 2048;       // tokens of a conversation, its image among them; later ones are cut off
  int64_t image_tokens = 0;        // that an image becomes
  double max_unsupervised = 0.01;  // the share of conversations that may have no id to learn; they are left out
};

/// The conversations that have an id to learn, numbered in their order.
class ConversationIds final {
 public:
  /// Throws ConfigError as truncate; DataError as label_segments, or if more conversations than
  /// options.max_unsupervised allows have no id to learn.
  ConversationIds(const LanguageTokenizer& tokenizer, const PromptTemplate& form,
                  std::span<const Conversation> conversations, const LabelOptions& options);

  /// The number of conversations that have an id to learn.
  int64_t size() const { return int64_t(source_.size()); }
  /// The number of conversation i among those that were given.
  int64_t source(int64_t i) const { return source_[size_t(i)]; }
  /// Its ids and labels.
  LabelledIds get(int64_t i) const;
  /// Its ids, with an image as one; and its tokens, with an image as image_tokens.
  int64_t ids(int64_t i) const { return begin_[size_t(i) + 1] - begin_[size_t(i)]; }
  int64_t tokens(int64_t i) const { return ids(i) + images_[size_t(i)] * (image_tokens_ - 1); }
  /// For the user: how many conversations were left out or cut. Empty if none was.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  void add(int64_t source, const LabelledIds& labelled);

  int64_t image_tokens_;
  std::vector<int32_t> ids_;       // of all conversations, one after the other; ~id where it is to be learnt
  std::vector<int64_t> begin_{0};  // where each conversation begins in ids_, and the end
  std::vector<int32_t> images_;    // places of images in each
  std::vector<int64_t> source_;
  std::vector<std::string> notes_;
};

}  // namespace vitrail::data
