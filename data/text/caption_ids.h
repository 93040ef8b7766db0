// CaptionIds: every caption of a dataset as token ids, ready to be put into batches.
#pragma once

#include "vitrail/core/tensor.h"
#include "vitrail/data/text/tokenizer.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vitrail::data {

/// Each caption starts with start-of-text, ends with end-of-text, and has at most context_length ids.
class CaptionIds final {
 public:
  /// captions: a list for each image.
  CaptionIds(const Tokenizer& tokenizer, const std::vector<std::vector<std::string>>& captions, int64_t context_length);

  /// The number of images.
  int64_t images() const { return int64_t(first_.size()) - 1; }
  /// Captions of an image.
  int64_t count(int64_t image) const { return first_[size_t(image) + 1] - first_[size_t(image)]; }
  /// One caption of each image: i64 [B, L], padded with zeros to the longest. choice[i] is below count(images[i]).
  Tensor batch(std::span<const int64_t> images, std::span<const int64_t> choice) const;

 private:
  std::vector<int32_t> ids_;       // of all captions, one after the other
  std::vector<int64_t> begin_{0};  // where each caption begins in ids_, and the end
  std::vector<int64_t> first_{0};  // number of each image's first caption, and the number of captions
};

}  // namespace vitrail::data
