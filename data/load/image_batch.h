// ImageBatch: batches of a Dataset's images, as one or several views each, with their labels.
#pragma once

#include "vitrail/data/load/bad_files.h"
#include "vitrail/data/load/batch_maker.h"
#include "vitrail/data/load/views.h"
#include "vitrail/data/sources/dataset.h"

#include <functional>
#include <span>
#include <vector>

namespace vitrail::data {

/// Writes one image as the model sees it to out: f32, as many values as the view's shape has.
/// Thread: called from several threads at once.
using Transform = std::function<void(const Image& image, Rng& rng, std::span<float> out)>;
/// Writes all views of one image, in the order of the Views. Otherwise as Transform.
using ViewsTransform = std::function<void(const Image& image, Rng& rng, std::span<const std::span<float>> out)>;

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

  int64_t size() const override { return dataset_->size(); }
  Batch open(std::span<const int64_t> indices) const override;
  /// Throws DataError from bad_files, or whatever transform throws.
  int64_t fill(Batch& batch, int64_t i, int64_t index, Rng& rng) const override;
  void close(Batch& batch) const override;
  const BadFiles* bad_files() const override { return bad_files_; }

 private:
  const Dataset* dataset_;
  ViewsTransform transform_;
  std::vector<Views> views_;
  BadFiles* bad_files_;
  Broken broken_;
};

}  // namespace vitrail::data
