// Mixup and CutMix: each image of a batch is mixed with another one, and so are their targets.
//
// Unlike the other augmentations here it works on a finished batch, so it runs on the thread that takes batches from
// the Loader, not on the loader's threads. A caller that may repeat a step clones the images first.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/core/tensor.h"
#include "vitrail/data/image/resize.h"

#include <string_view>
#include <vector>

namespace vitrail::data {

/// The share of a sample that stays; the rest comes from its partner.
struct Mix {
  double lambda = 1;  // weight of the sample's own target
  bool cutmix = false;
  Box box{};  // cutmix: the part taken from the partner
};

/// CutMix's box about a centre (row, column), clipped to the image. Its sides are sqrt(1 - lambda) times the image's.
Box cutmix_box(ImageSize image, double lambda, int64_t center_row, int64_t center_column);
/// The share of the image outside the box.
double lambda_of(ImageSize image, const Box& box);

/// One mix is drawn for the whole batch, for each pair of partners, or for each sample.
enum class MixupMode { batch, pair, elem };

/// The partner of sample i is sample B - 1 - i.
/// Source: Zhang et al. 2018 (arXiv:1710.09412), Yun et al. 2019 (arXiv:1905.04899); switching and modes as in timm.
class Mixup final {
 public:
  struct Config {
    double mixup_alpha = 0.8, cutmix_alpha = 1;  // lambda is drawn from Beta(alpha, alpha); 0 turns the operation off
    double probability = 1;                      // of mixing at all
    double switch_probability = 0.5;             // of CutMix, where both are on
    MixupMode mode = MixupMode::batch;
    double label_smoothing = 0.1;
  };
  using Params = std::vector<Mix>;  // by sample

  /// Throws ConfigError if both alphas are 0, or for numbers out of range.
  explicit Mixup(const Config& config);

  /// Throws ShapeError if the batch is not even.
  Params sample(Rng& rng, int64_t batch, ImageSize image) const;
  /// images [B, C, H, W], f32, in place. Throws ShapeError for another shape, type or number of params.
  void apply(Tensor& images, const Params& params) const;
  /// labels: i64 [B] -> soft targets: f32 [B, num_classes]. A row is lambda * the sample's target + (1 - lambda) * its
  /// partner's. A target is label_smoothing / num_classes everywhere, plus 1 - label_smoothing at the label.
  /// Throws ShapeError as apply; DataError for a label that is not a class.
  Tensor targets(const Tensor& labels, int64_t num_classes, const Params& params) const;

 private:
  Mix sample_one(Rng& rng, ImageSize image) const;

  Config config_;
};

}  // namespace vitrail::data
