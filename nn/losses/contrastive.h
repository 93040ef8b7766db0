// Contrastive learning on pairs: similarities, the losses of CLIP and SigLIP, and their gradient for batches with a
// forward pass that does not fit in memory.
#pragma once

#include "vitrail/autograd/tape.h"

#include <functional>
#include <vector>

namespace vitrail::nn {

using ag::Var;

/// exp(log_scale) <a_i, b_j> + bias with features a, b normalised to length 1. f32 also under autocast.
/// Shape:  image, text [B, D], log_scale [], bias [] -> [B, B], a row for each image.
Var pair_logits(const Var& image, const Var& text, const Var& log_scale, const Var& bias = {});

/// The mean of two cross entropies: of each image over all texts, and of each text over all images. A scalar.
/// Shape:  logits [B, B], pairs on the diagonal. Throws ShapeError if it is not square.
/// Source: Radford et al. 2021 (arXiv:2103.00020), figure 3 (symmetric InfoNCE).
Var contrastive_loss(const Var& logits);

/// Binary cross entropy of every combination of image and text, 1 for pairs. Summed, divided by B.
/// Shape:  logits [B, B], pairs on the diagonal. Throws ShapeError if it is not square.
/// Source: Zhai et al. 2023 (arXiv:2303.15343), eq. 1.
Var sigmoid_loss(const Var& logits);

/// One half of a model: features [m, D] of slice i of the batch.
using EncodeSlice = std::function<Var(int64_t slice)>;
/// The loss of the features of the whole batch, one variable for each tower.
using BatchLoss = std::function<Var(const std::vector<Var>& features)>;

/// The loss of a batch in slices and its exact gradient by all parameters, with the memory of a sweep for one slice of
/// one tower at a time. First it computes the features of all slices without a tape, the loss, and its gradient by the
/// features. Then it runs each slice again with a tape, with the same random numbers, and sweeps from that gradient.
/// Gradients are added to all parameters, including those that the loss itself uses (the temperature).
/// Returns the loss.
/// Source: Gao et al. 2021 (arXiv:2101.06983); open_clip's --accum-freq.
Tensor cached_backward(const std::vector<EncodeSlice>& towers, int64_t slices, const BatchLoss& loss);

}  // namespace vitrail::nn
