#include "vitrail/data/load/conversation_batch.h"

#include "vitrail/core/error.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

namespace vitrail::data {
namespace {

/// The rows of a tensor in that order.
Tensor rows_of(const Tensor& whole, const std::vector<int64_t>& rows) {
  const int64_t bytes = whole.size(0) > 0 ? whole.nbytes() / whole.size(0) : 0;
  Tensor out = Tensor::empty(whole.shape().without(0).insert(0, int64_t(rows.size())), whole.dtype());
  for (size_t i = 0; i < rows.size(); ++i)
    std::memcpy(out.raw() + int64_t(i) * bytes, whole.raw() + rows[i] * bytes, size_t(bytes));
  return out;
}

}  // namespace

ConversationBatch::ConversationBatch(ImageBatch images, const ConversationIds& ids,
                                     const std::vector<int64_t>& image_of, int64_t pad)
    : ConversationBatch(ids, image_of, pad) {
  images_ = std::move(images);
  for (int64_t i = 0; i < ids.size(); ++i)
    check<DataError>(image(i) < images_->size(), "conversation_batch",
                     "conversation {} is about image {}, and there are {} images", i, image(i), images_->size());
}

ConversationBatch::ConversationBatch(const ConversationIds& ids, const std::vector<int64_t>& image_of, int64_t pad)
    : ids_(&ids), image_of_(&image_of), pad_(pad) {
  for (int64_t i = 0; i < ids.size(); ++i)
    check<DataError>(ids.source(i) < int64_t(image_of.size()), "conversation_batch",
                     "conversation {} is not among the {} whose images are given", ids.source(i), image_of.size());
}

Batch ConversationBatch::open(std::span<const int64_t> indices) const {
  const auto count = int64_t(indices.size());
  Tensor row = Tensor::empty({count}, DType::i64), lengths = Tensor::empty({count}, DType::i64);
  std::vector<int64_t> unique;
  std::unordered_map<int64_t, int64_t> row_of;
  int64_t longest = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t own = image(indices[size_t(i)]);
    row.data<int64_t>()[i] = own < 0 ? -1 : row_of.try_emplace(own, int64_t(unique.size())).first->second;
    if (row.data<int64_t>()[i] == int64_t(unique.size())) unique.push_back(own);
    longest = std::max(longest, lengths.data<int64_t>()[i] = ids_->ids(indices[size_t(i)]));
  }
  Batch batch = images_ ? images_->open(unique) : Batch();
  batch.tensors.emplace("numbers", tensor(unique, {int64_t(unique.size())}));
  batch.tensors.insert_or_assign("labels", full({count, longest}, double(kIgnoredLabel), DType::i64));
  batch.tensors.emplace("ids", full({count, longest}, double(pad_), DType::i64));
  batch.tensors.emplace("lengths", std::move(lengths));
  batch.tensors.emplace("image", std::move(row));
  batch.tensors.emplace("broken", zeros({int64_t(unique.size())}, DType::u8));
  return batch;
}

int64_t ConversationBatch::fill(Batch& batch, int64_t i, int64_t index, Rng& rng) const {
  const LabelledIds own = ids_->get(index);
  const int64_t longest = batch.tensors.at("ids").size(1);
  std::copy(own.ids.begin(), own.ids.end(), batch.tensors.at("ids").data<int64_t>() + i * longest);
  std::copy(own.labels.begin(), own.labels.end(), batch.tensors.at("labels").data<int64_t>() + i * longest);

  const auto rows = batch.tensors.at("image").span<int64_t>();
  const int64_t row = rows[size_t(i)], source = image(index);
  if (!images_ || row < 0 || std::find(rows.begin(), rows.begin() + i, row) != rows.begin() + i) return index;
  Batch one = images_->open(std::vector<int64_t>{source});
  one.indices = {source};
  if (images_->fill(one, 0, source, rng) != source) {
    batch.tensors.at("broken").data<uint8_t>()[row] = 1;
    return index;
  }
  const Tensor& pixels = one["images"];
  std::memcpy(batch.tensors.at("images").raw() + row * pixels.nbytes(), pixels.raw(), size_t(pixels.nbytes()));
  return index;
}

void ConversationBatch::close(Batch& batch) const {
  const Tensor broken = batch["broken"];
  batch.tensors.erase("broken");
  const auto is_broken = broken.span<uint8_t>();
  if (std::count(is_broken.begin(), is_broken.end(), 0) == broken.numel()) return;
  std::vector<int64_t> images, samples, new_row(is_broken.size(), -1);
  for (size_t i = 0; i < is_broken.size(); ++i) {
    if (is_broken[i] != 0) continue;
    new_row[i] = int64_t(images.size());
    images.push_back(int64_t(i));
  }
  const auto rows = batch.tensors.at("image").span<int64_t>();
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] >= 0 && new_row[size_t(rows[i])] < 0) {
      batch.indices[i] = kLeftOut;
      continue;
    }
    if (rows[i] >= 0) rows[i] = new_row[size_t(rows[i])];
    samples.push_back(int64_t(i));
  }
  for (auto& [name, tensor] : batch.tensors)
    tensor = rows_of(tensor, name == "images" || name == "numbers" ? images : samples);
  std::erase(batch.indices, kLeftOut);
}

std::vector<LabelledIds> conversations_of(const Batch& batch) {
  const Tensor &ids = batch["ids"], &labels = batch["labels"], &lengths = batch["lengths"];
  std::vector<LabelledIds> out;
  for (int64_t i = 0; i < ids.size(0); ++i) {
    const int64_t *first = ids.data<int64_t>() + i * ids.size(1), *label = labels.data<int64_t>() + i * ids.size(1);
    const int64_t length = lengths.data<int64_t>()[i];
    out.push_back({{first, first + length}, {label, label + length}});
  }
  return out;
}

}  // namespace vitrail::data
