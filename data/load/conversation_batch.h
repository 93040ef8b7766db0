// ConversationBatch: batches of conversations as token ids, with the images that they are about.
#pragma once

#include "vitrail/data/load/image_batch.h"
#include "vitrail/data/text/conversation_ids.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace vitrail::data {

/// "ids", "labels": i64 [B, T], as LabelledIds has them, padded behind: ids with `pad`, labels with kIgnoredLabel.
/// "lengths": i64 [B], without padding.
/// "images": f32 [I, shape...], each image of the batch once, so that the features of an image are computed once for
/// all questions about it. "image": i64 [B], the row among images of each conversation, -1 for one about none.
///
/// Conversations about a broken image are left out.
class ConversationBatch final : public BatchMaker {
 public:
  /// images: one view of the images that image_of numbers, named "images". image_of: of each conversation among `ids`'
  /// sources its image, or negative. ids and image_of outlive this. Throws DataError for an image that is not there.
  ConversationBatch(ImageBatch images, const ConversationIds& ids, const std::vector<int64_t>& image_of,
                    int64_t pad = 0);
  /// The same without "images", for features that were computed before: "numbers" says of which images.
  ConversationBatch(const ConversationIds& ids, const std::vector<int64_t>& image_of, int64_t pad = 0);

  int64_t size() const override { return ids_->size(); }
  Batch open(std::span<const int64_t> indices) const override;
  int64_t fill(Batch& batch, int64_t i, int64_t index, Rng& rng) const override;
  void close(Batch& batch) const override;
  const BadFiles* bad_files() const override { return images_ ? images_->bad_files() : nullptr; }

 private:
  int64_t image(int64_t index) const { return (*image_of_)[size_t(ids_->source(index))]; }

  std::optional<ImageBatch> images_;
  const ConversationIds* ids_;
  const std::vector<int64_t>* image_of_;
  int64_t pad_;
};

/// The conversations of a batch without padding.
std::vector<LabelledIds> conversations_of(const Batch& batch);

}  // namespace vitrail::data
