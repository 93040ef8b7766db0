// KoLeo: keeps features apart, so that they fill the space evenly.
#pragma once

#include "vitrail/autograd/tape.h"

namespace vitrail::nn {

/// The mean over the rows of -log(d + 1e-8), with d the distance from a row to the row most similar to it, both of
/// length 1. f32 under autocast. The gradient reaches both rows of a pair.
/// Shape:  x [N, D] -> scalar. Neighbours are searched in groups of that many consecutive rows; 0: among all rows.
/// Throws: ShapeError unless x has two axes; ConfigError unless groups have two rows or more and N is a multiple.
/// Source: Sablayrolles et al. 2019 (arXiv:1806.03198), eq. 2; epsilons as in DINOv2.
ag::Var koleo_loss(const ag::Var& x, int64_t group = 0);

}  // namespace vitrail::nn
