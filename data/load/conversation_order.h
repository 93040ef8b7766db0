// The order of conversations in an epoch: at random, or with those together that are cheaper together.
#pragma once

#include "vitrail/data/text/conversation_ids.h"

#include <cstdint>
#include <span>
#include <vector>

namespace vitrail::data {

enum class Grouping {
  none,    // at random
  length,  // batches of similar lengths, and only with images or only without: less padding
  image,   // the questions about an image one after the other: its tokens are computed once for them
};

/// A function of the epoch, for LoaderOptions::order. It depends on the arguments of the constructor and on the epoch
/// alone.
///
/// length: a random order is cut into stretches of 50 batches; each is sorted by length and cut into batches, and the
/// batches come in random order. The samples that fill no batch of their kind come last, together.
/// Source: group_by_modality_length in LLaVA, stretches as in transformers' LengthGroupedSampler.
class ConversationOrder final {
 public:
  /// image_of: of each conversation among `ids`' sources its image, or negative.
  ConversationOrder(const ConversationIds& ids, std::span<const int64_t> image_of, Grouping grouping,
                    int64_t batch_size, uint64_t seed);

  /// Each of the conversations of `ids` once.
  std::vector<int64_t> operator()(int64_t epoch) const;

 private:
  std::vector<int64_t> by_length(int64_t epoch) const;
  std::vector<int64_t> by_image(int64_t epoch) const;

  std::vector<int64_t> lengths_, images_;  // of each conversation
  Grouping grouping_;
  int64_t batch_size_;
  uint64_t seed_;
};

}  // namespace vitrail::data
