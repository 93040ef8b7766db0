#include "vitrail/data/load/caption_batch.h"

#include "vitrail/core/error.h"

#include <utility>

namespace vitrail::data {

CaptionBatch::CaptionBatch(ImageBatch images, const CaptionIds& captions, uint64_t seed)
    : images_(std::move(images)), captions_(&captions), seed_(seed) {
  check<DataError>(images_.size() == captions.images(), "caption_batch", "{} images, but captions of {}",
                   images_.size(), captions.images());
}

Batch CaptionBatch::open(std::span<const int64_t> indices) const {
  Batch batch = images_.open(indices);
  batch.tensors.emplace("caption", Tensor::empty({int64_t(indices.size())}, DType::i64));
  return batch;
}

int64_t CaptionBatch::fill(Batch& batch, int64_t i, int64_t index, Rng& rng) const {
  const int64_t found = images_.fill(batch, i, index, rng);
  if (found == kLeftOut) return found;
  // The position in the epoch keys the draw, so a repeated image gets a caption drawn anew.
  const uint64_t place = Rng::combine(uint64_t(batch.epoch), uint64_t(batch.position + i));
  batch.tensors.at("caption").data<int64_t>()[i] = Rng(seed_, "caption", place).below(captions_->count(found));
  return found;
}

void CaptionBatch::close(Batch& batch) const {
  images_.close(batch);
  batch.tensors.emplace("tokens", captions_->batch(batch.indices, batch["caption"].span<int64_t>()));
}

}  // namespace vitrail::data
