#include "vitrail/data/text/caption_ids.h"

#include <algorithm>

namespace vitrail::data {

CaptionIds::CaptionIds(const Tokenizer& tokenizer, const std::vector<std::vector<std::string>>& captions,
                       int64_t context_length) {
  first_.reserve(captions.size() + 1);
  for (const auto& of_image : captions) {
    for (const std::string& caption : of_image) {
      const std::vector<int64_t> ids = tokenizer.encode(caption);
      const size_t kept = std::min(ids.size(), size_t(context_length) - 2);
      ids_.push_back(int32_t(tokenizer.vocabulary().start_of_text()));
      ids_.insert(ids_.end(), ids.begin(), ids.begin() + std::ptrdiff_t(kept));
      ids_.push_back(int32_t(tokenizer.vocabulary().end_of_text()));
      begin_.push_back(int64_t(ids_.size()));
    }
    first_.push_back(int64_t(begin_.size()) - 1);
  }
}

Tensor CaptionIds::batch(std::span<const int64_t> images, std::span<const int64_t> choice) const {
  const auto caption = [&](size_t i) { return size_t(first_[size_t(images[i])] + choice[i]); };
  int64_t longest = 0;
  for (size_t i = 0; i < images.size(); ++i) longest = std::max(longest, begin_[caption(i) + 1] - begin_[caption(i)]);
  Tensor ids = zeros({int64_t(images.size()), longest}, DType::i64);
  for (size_t i = 0; i < images.size(); ++i)
    std::copy(ids_.begin() + begin_[caption(i)], ids_.begin() + begin_[caption(i) + 1],
              ids.data<int64_t>() + int64_t(i) * longest);
  return ids;
}

}  // namespace vitrail::data
