// ImageBatch: batches of a Dataset's images, as one or several views each, with their labels.
#pragma once

#include "vitrail/data/image/image_part.h"
#include "vitrail/data/load/bad_files.h"
#include "vitrail/data/load/batch_maker.h"
#include "vitrail/data/load/views.h"
#include "vitrail/data/sources/dataset.h"

#include <concepts>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace vitrail::data {

/// Writes one image as the model sees it to out: f32, as many values as the view's shape has.
/// Thread: called from several threads at once.
using Transform = std::function<void(const Image& image, Rng& rng, std::span<float> out)>;
/// Writes all views of one image, in the order of the Views. Otherwise as Transform.
using ViewsTransform = std::function<void(const Image& image, Rng& rng, std::span<const std::span<float>> out)>;

/// A transform that reads a part of an image, so that the rest need not be decoded. request: the part of an image of
/// that size that apply will read if it is called with the same rng.
struct PartTransform {
  std::function<PartRequest(ImageSize size, const Rng& rng)> request;
  std::function<void(const ImagePart& part, Rng& rng, std::span<const std::span<float>> out)> apply;
};
/// An ImageTransform or a MultiCrop, or what has the same functions, as a PartTransform. The crops are those that the
/// transform itself would take. Their pixels are equal where a crop is less than twice its target's size; larger crops
/// are decoded at a half, a quarter or an eighth of their resolution, never below the target's.
template <class T>
PartTransform by_parts(T transform) {
  const auto request = [transform](ImageSize size, const Rng& rng) { return transform.request(size, rng); };
  return {request,
          [transform = std::move(transform)](const ImagePart& part, Rng& rng, std::span<const std::span<float>> out) {
            if constexpr (std::invocable<const T&, const ImagePart&, Rng&, std::span<float>>)
              transform(part, rng, out[0]);
            else
              transform(part, rng, out);
          }};
}

/// "labels": i64 [B], kNoLabel in an unlabelled dataset. For each of `views` a tensor of its name, "images" by
/// default: f32 [count * B, shape...]. It is crop-major, view v of image i is row v * B + i, so that one forward pass
/// takes all views of a shape as they lie.
///
/// What becomes of a broken image, if bad_files lets the run go on.
enum class Broken {
  replaced,  // for training: by the next good one of the dataset, with its label
  left_out,  // for evaluation: the batch has a row less
};

/// bad_files notes a broken image, or ends the run.
class ImageBatch final : public BatchMaker {
 public:
  /// One view of each image. dataset and bad_files outlive this.
  ImageBatch(const Dataset& dataset, Transform transform, const Shape& shape, BadFiles& bad_files,
             Broken broken = Broken::replaced);
  /// Several views of each image. Throws ConfigError for no views, a count below 1, or a name that comes twice.
  ImageBatch(const Dataset& dataset, ViewsTransform transform, std::vector<Views> views, BadFiles& bad_files,
             Broken broken = Broken::replaced);
  /// The same; of a JPEG only the part that the transform reads is decoded: see decode_part.
  ImageBatch(const Dataset& dataset, PartTransform transform, std::vector<Views> views, BadFiles& bad_files,
             Broken broken = Broken::replaced);

  int64_t size() const override { return dataset_->size(); }
  Batch open(std::span<const int64_t> indices) const override;
  /// Throws DataError from bad_files, or whatever transform throws.
  int64_t fill(Batch& batch, int64_t i, int64_t index, Rng& rng) const override;
  void close(Batch& batch) const override;
  const BadFiles* bad_files() const override { return bad_files_; }

 private:
  struct Labelled {
    ImagePart image;
    int64_t label;
  };
  /// What the transform reads of the image at index.
  Labelled read(int64_t index, const Rng& rng) const;
  /// Nothing if it is broken.
  std::optional<Labelled> read_or_note(int64_t index, const Rng& rng) const;
  /// The first good one from index on, in a circle, and where it is.
  std::pair<int64_t, Labelled> read_good(int64_t index, const Rng& rng) const;

  const Dataset* dataset_;
  PartTransform transform_;  // without request: it takes whole images
  std::vector<Views> views_;
  BadFiles* bad_files_;
  Broken broken_;
};

}  // namespace vitrail::data
