#include "vitrail/data/text/conversation_ids.h"

#include "vitrail/core/error.h"
#include "vitrail/core/parallel.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace vitrail::data {
namespace {

constexpr int32_t kStoredImage = std::numeric_limits<int32_t>::min();

std::string share_text(double share) { return fmt::format("{:g}%", 100 * share); }

}  // namespace

ConversationIds::ConversationIds(const LanguageTokenizer& tokenizer, const PromptTemplate& form,
                                 std::span<const Conversation> conversations, const LabelOptions& options)
    : image_tokens_(options.image_tokens) {
  constexpr int64_t kBlock = 4096, kRun = 64;  // encoded at a time, so that little is in memory twice
  const auto count = int64_t(conversations.size());
  int64_t unsupervised = 0, first = -1, cut = 0;
  std::vector<LabelledIds> block;
  std::vector<char> shortened;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t size = std::min(kBlock, count - begin);
    block.assign(size_t(size), {});
    shortened.assign(size_t(size), 0);
    parallel_for(size, kRun, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        LabelledIds& labelled = block[size_t(i)];
        labelled = label_segments(conversations[size_t(begin + i)], form, tokenizer);
        const size_t before = labelled.ids.size();
        truncate(labelled, options.max_length, options.image_tokens);
        shortened[size_t(i)] = labelled.ids.size() < before;
      }
    });
    for (int64_t i = 0; i < size; ++i) {
      cut += shortened[size_t(i)];
      if (block[size_t(i)].supervised() > 0) {
        add(begin + i, block[size_t(i)]);
        continue;
      }
      if (unsupervised++ == 0) first = begin + i;
    }
  }
  check<DataError>(double(unsupervised) <= options.max_unsupervised * double(count), "labels",
                   "{} of {} conversations have no answer within max_length {}, more than {}; the first is number {}. "
                   "A longer max_length, or data whose turns end in answers, helps",
                   unsupervised, count, options.max_length, share_text(options.max_unsupervised), first + 1);
  if (unsupervised > 0)
    notes_.push_back(fmt::format("{} of {} conversations have no answer within max_length {}; they are left out",
                                 unsupervised, count, options.max_length));
  if (cut > 0)
    notes_.push_back(fmt::format("{} of {} conversations are cut at max_length {}", cut, count, options.max_length));
}

void ConversationIds::add(int64_t source, const LabelledIds& labelled) {
  for (size_t i = 0; i < labelled.ids.size(); ++i) {
    const auto id = int32_t(labelled.ids[i]);
    const bool supervised = labelled.labels[i] != kIgnoredLabel;
    ids_.push_back(labelled.ids[i] == kImageId ? kStoredImage : supervised ? ~id : id);
  }
  begin_.push_back(int64_t(ids_.size()));
  images_.push_back(int32_t(labelled.images()));
  source_.push_back(source);
}

LabelledIds ConversationIds::get(int64_t i) const {
  LabelledIds out;
  for (int64_t at = begin_[size_t(i)]; at < begin_[size_t(i) + 1]; ++at) {
    const int32_t stored = ids_[size_t(at)];
    const bool image = stored == kStoredImage, supervised = !image && stored < 0;
    const int64_t id = image ? kImageId : supervised ? int64_t(~stored) : int64_t(stored);
    out.ids.push_back(id);
    out.labels.push_back(supervised ? id : kIgnoredLabel);
  }
  return out;
}

}  // namespace vitrail::data
