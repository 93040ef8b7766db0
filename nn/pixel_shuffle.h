// pixel_shuffle: fewer, wider tokens, as Idefics3 shortens the sequence of an image.
#pragma once

#include "vitrail/autograd/ops.h"

namespace vitrail::nn {

/// Puts the tokens of each factor x factor square of the grid side by side in one token, row by row.
/// Shape:  x [B, H * W, C] -> [B, H / factor * W / factor, factor * factor * C].
/// Throws: ShapeError if x does not have the tokens of the grid or a side of the grid is not a multiple of factor.
/// Source: Laurençon et al. 2024 (arXiv:2408.12637), Idefics3's connector. PyTorch's pixel_unshuffle does the same to
///         images, with the channel before the place in the square.
ag::Var pixel_shuffle(const ag::Var& x, ag::Grid grid, int64_t factor);

}  // namespace vitrail::nn
