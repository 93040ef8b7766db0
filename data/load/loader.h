// Loader: batches of a Dataset, made ahead of time by worker threads. What a batch holds depends on the seed, the epoch
// and the images' indices; never on the number of workers, on how far ahead they are, or on where a run was resumed.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/core/tensor.h"
#include "vitrail/data/load/bad_files.h"
#include "vitrail/data/load/sampler.h"
#include "vitrail/data/sources/dataset.h"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace vitrail::data {

/// Writes one image into its place in the batch, out: f32 of the view's shape. rng is that of (seed, epoch, index,
/// repeat). Thread: called from several threads at once.
using Transform = std::function<void(const Image& image, Rng& rng, std::span<float> out)>;
/// Writes all views of one image, in the order of LoaderOptions::views. Otherwise as Transform.
using ViewsTransform = std::function<void(const Image& image, Rng& rng, std::span<const std::span<float>> out)>;

/// Views of an image that have one shape, [3, H, W].
struct Views {
  Shape shape;
  int64_t count = 1;
};

struct Batch {
  Tensor images;  // f32 [count * B, shape...] of the first views: with one view of an image, [B, 3, H, W]
  /// One tensor for each of LoaderOptions::views, images first. Crop-major: view v of image i is row v * B + i, so
  /// that one forward takes all views of a shape as they lie.
  std::vector<Tensor> views;
  Tensor labels;                 // i64 [B]; kNoLabel in an unlabelled set
  std::vector<int64_t> indices;  // of the images in the Dataset; where one is broken, of the one in its place
  int64_t epoch = 0;
  int64_t position = 0;  // of the batch's first image in the epoch's order
};

/// A place in the data: the next image is number `position` in the order of `epoch`.
struct LoaderState {
  int64_t epoch = 0, position = 0;
  bool operator==(const LoaderState&) const = default;
};

struct LoaderOptions {
  int64_t batch_size = 1;
  std::vector<Views> views;  // made of an image: {{{3, H, W}}} for one
  uint64_t seed = 0;
  bool shuffle = false;
  int64_t repeats = 1;     // times each image comes in a row, augmented anew: see Sampler
  bool drop_last = false;  // leave out an epoch's last batch if it is not full
  int64_t epochs = 1;      // batches end before this epoch
  LoaderState start;
  int workers = 1;
  int prefetch = 2;  // batches made ahead of the one in use
};

class Loader final {
 public:
  /// dataset and bad_files outlive the loader. Throws ConfigError for options that cannot be used.
  Loader(const Dataset& dataset, Transform transform, const LoaderOptions& options, BadFiles& bad_files);
  /// For several views of each image.
  Loader(const Dataset& dataset, ViewsTransform transform, const LoaderOptions& options, BadFiles& bad_files);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The next batch, of whichever epoch it is; nothing after the last epoch.
  /// Throws what a worker met: DataError from bad_files, or whatever transform threw; the loader has then ended.
  std::optional<Batch> next();

  /// Where a loader must start to go on with the batch that next() would give now.
  LoaderState state() const;
  /// The list of broken images that it adds to.
  const BadFiles& bad_files() const;
  int64_t batches_per_epoch() const;
  /// The share of the time since the last call (or the start) that next() spent waiting for workers.
  double take_wait_share();

 private:
  class Pipeline;
  std::unique_ptr<Pipeline> pipeline_;
};

}  // namespace vitrail::data
