// iBOT's loss: the student's output for a masked patch against the teacher's for the same patch, which it sees.
#pragma once

#include "vitrail/autograd/tape.h"

#include <vector>

namespace vitrail::nn {

/// The masked patches of a batch.
struct MaskedPatches {
  Tensor rows;         // i64 [M]: their places in tokens [B N, C]
  Tensor weights;      // f64 [M]: 1 / the number of masked patches of the same image
  int64_t images = 0;  // B, with those that have no mask
};
/// masks: u8 [B, N], 1 for a masked patch. Throws ShapeError unless it has two axes.
MaskedPatches masked_patches(const Tensor& masks);

/// The cross-entropy at temperature temp, averaged over the masked patches of an image and then over all images, where
/// an image without a mask counts 0.
/// Shape:  student [M, K] scores, targets [M, K] probabilities -> scalar.
/// Throws: ShapeError if sizes do not fit.
/// Source: Zhou et al. 2022 (arXiv:2111.07832), eq. 2; the division by all images as in DINOv2.
ag::Var ibot_loss(const ag::Var& student, const Tensor& targets, const MaskedPatches& masked, double temp);

}  // namespace vitrail::nn
