// Differentiable operations on images [B, C, H, W].
#pragma once

#include "vitrail/autograd/tape.h"
#include "vitrail/core/ops/image.h"

namespace vitrail::ag {

using core::ConvOptions;
using core::Grid;
using core::Interpolation;
using core::PosInterp;

/// x [B, C, H, W] -> [B, C', H', W']. Definitions and errors as in core/ops/image.h.
Var conv2d(const Var& x, const Var& weight, const Var& bias, const ConvOptions& options);
Var max_pool2d(const Var& x, int64_t size, int64_t stride, int64_t padding);
Var avg_pool2d(const Var& x, int64_t size, int64_t stride, int64_t padding = 0);
Var interpolate(const Var& x, Grid size, Interpolation mode = Interpolation::nearest);

/// Images to tokens and back, and position tables for another grid. Shapes and errors as in core/ops/image.h.
Var patchify(const Var& images, int64_t patch_size);
Var unpatchify(const Var& patches, int64_t patch_size, const Shape& image_shape);
Var resample_positions(const Var& table, Grid from, Grid to, PosInterp mode);

}  // namespace vitrail::ag
