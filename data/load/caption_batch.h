// CaptionBatch: batches of images, each with one of its captions as token ids.
#pragma once

#include "vitrail/data/load/image_batch.h"
#include "vitrail/data/text/caption_ids.h"

#include <cstdint>
#include <span>

namespace vitrail::data {

/// The tensors of an ImageBatch, and "tokens": i64 [B, L], one caption of each image, padded with zeros to the longest.
/// "caption": i64 [B], the number of that caption among the captions of its image. An image that comes again, in
/// another epoch or repeated, gets a caption drawn anew.
class CaptionBatch final : public BatchMaker {
 public:
  /// captions: those of the images of `images`; it outlives this. seed: the Loader's.
  /// Throws DataError if the number of images differs.
  CaptionBatch(ImageBatch images, const CaptionIds& captions, uint64_t seed);

  int64_t size() const override { return images_.size(); }
  Batch open(std::span<const int64_t> indices) const override;
  /// A broken image is replaced together with its captions. Throws as ImageBatch.
  int64_t fill(Batch& batch, int64_t i, int64_t index, Rng& rng) const override;
  void close(Batch& batch) const override;
  const BadFiles* bad_files() const override { return images_.bad_files(); }

 private:
  ImageBatch images_;
  const CaptionIds* captions_;
  uint64_t seed_;
};

}  // namespace vitrail::data
