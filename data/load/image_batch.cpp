#include "vitrail/data/load/image_batch.h"

#include "vitrail/core/error.h"
#include "vitrail/data/image/codec.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

namespace vitrail::data {
namespace {

void check_views(const std::vector<Views>& all) {
  check<ConfigError>(!all.empty(), "image_batch", "views is empty; each image needs at least one view");
  std::set<std::string> names{"labels"};
  for (const Views& views : all) {
    check<ConfigError>(views.count > 0, "image_batch", "{} views of shape {}; there must be at least one", views.count,
                       views.shape);
    check<ConfigError>(names.insert(views.name).second, "image_batch", "two tensors have the name '{}'", views.name);
  }
}

/// The rows of [count * B, ...] whose samples have an index, for each of the `count` views.
Tensor kept_rows(const Tensor& rows, const std::vector<int64_t>& indices, int64_t kept) {
  const int64_t views = rows.size(0) / int64_t(indices.size()), bytes = rows.nbytes() / rows.size(0);
  Tensor out = Tensor::empty(rows.shape().without(0).insert(0, views * kept), rows.dtype());
  int64_t to = 0;
  for (int64_t row = 0; row < rows.size(0); ++row)
    if (indices[size_t(row) % indices.size()] != kLeftOut)
      std::memcpy(out.raw() + bytes * to++, rows.raw() + bytes * row, size_t(bytes));
  return out;
}

}  // namespace

ImageBatch::ImageBatch(const Dataset& dataset, Transform transform, const Shape& shape, BadFiles& bad_files,
                       Broken broken)
    : ImageBatch(
          dataset,
          [one = std::move(transform)](const Image& image, Rng& rng, std::span<const std::span<float>> out) {
            one(image, rng, out[0]);
          },
          {Views{shape}}, bad_files, broken) {}

ImageBatch::ImageBatch(const Dataset& dataset, ViewsTransform transform, std::vector<Views> views, BadFiles& bad_files,
                       Broken broken)
    : ImageBatch(dataset,
                 PartTransform{{},
                               [whole = std::move(transform)](const ImagePart& part, Rng& rng,
                                                              std::span<const std::span<float>> out) {
                                 whole(part.pixels, rng, out);
                               }},
                 std::move(views), bad_files, broken) {}

ImageBatch::ImageBatch(const Dataset& dataset, PartTransform transform, std::vector<Views> views, BadFiles& bad_files,
                       Broken broken)
    : dataset_(&dataset),
      transform_(std::move(transform)),
      views_(std::move(views)),
      bad_files_(&bad_files),
      broken_(broken) {
  check_views(views_);
}

ImageBatch::Labelled ImageBatch::read(int64_t index, const Rng& rng) const {
  if (transform_.request) {
    const Bytes file = dataset_->encoded(index);
    const auto request = [&](ImageSize size) { return transform_.request(size, rng); };
    if (!file.empty()) return {decode_part(file, request), dataset_->label(index)};
  }
  Sample sample = dataset_->get(index);
  return {ImagePart(std::move(sample.image)), sample.label};
}

std::optional<ImageBatch::Labelled> ImageBatch::read_or_note(int64_t index, const Rng& rng) const {
  try {
    return read(index, rng);
  } catch (const IoError& error) {
    bad_files_->add(*dataset_, index, error.what());
    return std::nullopt;
  }
}

std::pair<int64_t, ImageBatch::Labelled> ImageBatch::read_good(int64_t index, const Rng& rng) const {
  const int64_t n = dataset_->size();
  for (int64_t tried = 0; tried < n; ++tried) {
    const int64_t at = (index + tried) % n;
    if (std::optional<Labelled> found = read_or_note(at, rng)) return {at, *std::move(found)};
  }
  fail<DataError>("image_batch", "all {} images are broken; the first is {}", n, dataset_->name(0));
}

Batch ImageBatch::open(std::span<const int64_t> indices) const {
  const int64_t count = int64_t(indices.size());
  Batch batch;
  for (const Views& views : views_)
    batch.tensors.emplace(views.name, Tensor::empty(views.shape.insert(0, views.count * count)));
  batch.tensors.emplace("labels", Tensor::empty({count}, DType::i64));
  return batch;
}

int64_t ImageBatch::fill(Batch& batch, int64_t i, int64_t index, Rng& rng) const {
  int64_t found = index;
  std::optional<Labelled> sample;
  if (broken_ == Broken::left_out)
    sample = read_or_note(index, rng);
  else
    std::tie(found, sample) = read_good(index, rng);
  if (!sample) return kLeftOut;
  std::vector<std::span<float>> places;
  for (const Views& views : views_) {
    const int64_t numel = views.shape.numel();
    float* data = batch.tensors.at(views.name).data<float>();
    for (int64_t v = 0; v < views.count; ++v) places.emplace_back(data + (v * batch.size() + i) * numel, size_t(numel));
  }
  transform_.apply(sample->image, rng, places);
  batch.tensors.at("labels").data<int64_t>()[i] = sample->label;
  return found;
}

void ImageBatch::close(Batch& batch) const {
  const int64_t kept = batch.size() - std::count(batch.indices.begin(), batch.indices.end(), kLeftOut);
  if (kept == batch.size()) return;
  for (auto& [name, rows] : batch.tensors) rows = kept_rows(rows, batch.indices, kept);
  std::erase(batch.indices, kLeftOut);
}

}  // namespace vitrail::data
