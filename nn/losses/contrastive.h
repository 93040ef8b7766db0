// Contrastive learning on pairs: similarities, the losses of CLIP and SigLIP, and their gradient for batches whose
// forward pass does not fit in memory.
#pragma once

#include "vitrail/autograd/tape.h"

#include <functional>
#include <vector>

namespace vitrail::nn {

using ag::Var;

/// exp(log_scale) <a_i, b_j> of the features normalised to length 1, plus bias if defined. f32 also under autocast.
/// Shape:  image, text [B, D], log_scale [], bias [] -> [B, B], a row for each image.
Var pair_logits(const Var& image, const Var& text, const Var& log_scale, const Var& bias = {});

/// Each image should find its text among all, and each text its image: the mean of both cross entropies. A scalar.
/// Shape:  logits [B, B], pairs on the diagonal. Throws ShapeError if it is not square.
/// Source: Radford et al. 2021 (arXiv:2103.00020), figure 3 (symmetric InfoNCE).
Var contrastive_loss(const Var& logits);

/// Every pair by itself: is it one, or are the two strangers? Summed over all pairs, divided by B.
/// Shape:  logits [B, B], pairs on the diagonal. Throws ShapeError if it is not square.
/// Source: Zhai et al. 2023 (arXiv:2303.15343), eq. 1.
Var sigmoid_loss(const Var& logits);

/// One half of a model: features [m, D] of slice i of the batch.
using EncodeSlice = std::function<Var(int64_t slice)>;
/// The loss of the features of the whole batch, one variable a tower.
using BatchLoss = std::function<Var(const std::vector<Var>& features)>;

/// The loss of a batch that is cut into slices, and its exact gradient by all parameters, while the memory that a
/// sweep needs is held for one slice of one tower at a time: features of all slices without a tape, the loss and its
/// gradient by them, then for each slice the forward pass again, with a tape, and a sweep from that gradient. The
/// second pass draws the same random numbers as the first. Gradients are added to the parameters, also those of what
/// the loss itself uses (the temperature).
/// Returns the loss.
/// Source: Gao et al. 2021 (arXiv:2101.06983); open_clip's --accum-freq.
Tensor cached_backward(const std::vector<EncodeSlice>& towers, int64_t slices, const BatchLoss& loss);

}  // namespace vitrail::nn
