// How far a transformer looks: the mean attention distance of each head.
#pragma once

#include "vitrail/nn/models/vision_transformer.h"

#include <vector>

namespace vitrail::recipes {

/// For each patch, the distance in pixels from its centre to the centres of all patches, weighted by its attention; the
/// mean over the patches of all images. Prefix tokens (class token, distillation token, registers) have no place: they
/// are neither queries nor keys here, and the weights of the patches are scaled to the sum 1. A patch that attends to
/// prefix tokens alone is left out of the mean.
/// Source: Dosovitskiy et al. 2021 (arXiv:2010.11929), section 4.5 and figure 7.
class AttentionDistance {
 public:
  /// model must outlive this object.
  explicit AttentionDistance(nn::VisionTransformer& model);

  /// image: normalised, [1, 3, H, W]. Throws NumericError for attention that is not finite.
  void add(const Tensor& image);

  /// Pixels, of each block and head. NaN if no patch was added.
  double of(int64_t block, int64_t head) const;
  /// The mean of the heads of a block.
  double of(int64_t block) const;
  /// The distance of attention that is the same everywhere, in the same images: the average of two random patches.
  double uniform() const;

  /// The blocks of the model, and the heads of each.
  int64_t depth() const { return model_.config.depth; }
  int64_t heads() const { return model_.config.num_heads; }

 private:
  nn::VisionTransformer& model_;
  std::vector<double> sums_;     // [depth, heads]
  std::vector<int64_t> counts_;  // of the patches in sums_
  double uniform_sum_ = 0;
  int64_t patches_ = 0;
};

}  // namespace vitrail::recipes
